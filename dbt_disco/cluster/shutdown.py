"""Ending guests in an orderly way: Linux is asked by magic SysRq on its serial line to write out its file systems and
to power off. Nothing needs to run in the guest for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from dbt_disco.cluster.configuration import Shutdown
from dbt_disco.cluster.member import Member, MemberState

if TYPE_CHECKING:
    from dbt_disco.cluster.cluster import Cluster

_SYNC: Final = b"s"
_SYNCED: Final = b"Emergency Sync complete"
_REMOUNT_READ_ONLY: Final = b"u"
_REMOUNTED: Final = b"Emergency Remount complete"
_POWER_OFF: Final = b"o"
_PATIENCE: Final = 5.0
"""Seconds that a guest has for each of them."""
_LOOK: Final = 0.02


def shut_down(cluster: Cluster, members: Sequence[Member], reason: str) -> None:
    """End members for good, side by side; those that cannot be asked, or do not obey in time, are killed.

    Not on the keeper's thread.
    """
    alive = (MemberState.RUNNING, MemberState.IDLE)
    asked = [
        member
        for member in members
        if member.configuration.shutdown is Shutdown.SYSRQ and member.state in alive
    ]
    for key, answer in ((_SYNC, _SYNCED), (_REMOUNT_READ_ONLY, _REMOUNTED), (_POWER_OFF, None)):
        positions = {member: member.console.read(1 << 62)[1] for member in asked}
        for member in asked:
            cluster.do(member.press_sysrq, key).result()

        def obeyed(
            member: Member, answer: bytes | None = answer, positions: dict[Member, int] = positions
        ) -> bool:
            ended = member.has_ended.is_set()
            return ended or (answer is not None and answer in member.console.read(positions[member])[0])

        _wait(lambda: all(obeyed(member) for member in asked))  # noqa: B023  (called before the next round)
        asked = [member for member in asked if obeyed(member)]
    for killed in [cluster.do(member.kill, reason) for member in members]:
        killed.result()
    for member in members:
        member.has_ended.wait()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + _PATIENCE
    while not condition() and monotonic() < deadline:
        sleep(_LOOK)
