"""Members that run our own guest kernel (guests/kernel), and what they must report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbt_disco.cluster.configuration import MemberConfiguration, Restart
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.demo.expected_report import report_of_all
from dbt_disco.demo.guest_kernel import KERNEL
from dbt_disco.disks.drive import Drive, SharingMode
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.user_network_option import UserNetworkOption
from tests.dbt_disco.cluster.clusters import wait_for_state
from tests.dbt_disco.demo.kernel_boot import VOLUME

SECTORS, ROUNDS = 300, 40
"""What each innocent virtual machine writes, and how long it computes."""
ALL = f"task=all sectors={SECTORS} rounds={ROUNDS}"
"""Reads and checks all files, writes, computes, and reports."""
MEMORY = 16 << 20
_BEGINNING = "kernel: "
"""How the first line of each life begins."""
_UNCERTAIN = ("statistics: ",)
"""How the other lines begin that are not the same every time."""


def kernel_member(
    name: str,
    words: str,
    disk: Path,
    *,
    mode: SharingMode = SharingMode.SHARED,
    home_node: int = 0,
    memory: int = MEMORY,
    restart: Restart = Restart.NEVER,
    network: UserNetworkOption | None = None,
    other_devices: bool = False,
) -> MemberConfiguration:
    """A virtual machine that boots the kernel with a command line, its name, and a disk."""
    configuration = Configuration(
        KERNEL,
        command_line=f"{words} name={name}",
        memory_size=memory,
        drives=[Drive(disk, mode)],
        network=network,
        entropy=other_devices,
        balloon=other_devices,
        name=name,
    )
    return MemberConfiguration(name, configuration, home_node, restart)


def output(member: Member) -> str:
    """What it has written."""
    return member.console.read(0)[0].decode(errors="replace")


def lives(member: Member) -> list[list[str]]:
    """What it has reported in each of its lives, line by line; the last may not be over."""
    return lives_in(output(member))


def lives_in(text: str) -> list[list[str]]:
    """The reports of each life; one that was killed within a line has its next life begin in that line."""
    return [
        [line for line in life.splitlines()[1:] if not line.startswith(_UNCERTAIN)]
        for life in text.split(_BEGINNING)[1:]
    ]


def expected_report(member: Member) -> Sequence[str]:
    """What one with the command line ALL has to report."""
    return report_of_all(VOLUME, member.name, SECTORS, ROUNDS)


def assert_right(member: Member) -> None:
    """Wait for the end of an innocent one, and look at its report."""
    wait_for_state(member, MemberState.STOPPED, MemberState.FAILED)
    assert (member.state, member.reason) == (MemberState.STOPPED, "the guest powered off by a monitor call")
    assert lives(member) == [expected_report(member)]
