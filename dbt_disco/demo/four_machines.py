"""The demo's second part: four virtual machines on a machine of two nodes that is smaller than what they see."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import ClusterConfiguration, MachineConfiguration, MemberConfiguration
from dbt_disco.cluster.member import Member, MemberState, reason_of
from dbt_disco.cluster.service import SWITCH_INTERVAL
from dbt_disco.cluster.statistics import cluster_statistics
from dbt_disco.cluster.task import TaskState
from dbt_disco.demo.disk_image import Volume
from dbt_disco.demo.expected_report import checksum_line, report_of_all, volume_line
from dbt_disco.demo.guest_kernel import KERNEL, KernelStatus
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.outcome import Ending
from runtime.system.idle_loop import TIMER_SIGNALS

MACHINE: Final = MachineConfiguration(nodes=2, cpus_per_node=1, memory_per_node=16 << 20)
MEMORY_SIZE: Final = 24 << 20
"""Of each virtual machine, in bytes."""
NAMES: Final = ("vm1", "vm2", "vm3", "vm4")
CRASHES: Final = "vm3"
"""The one that goes wrong on purpose, when it has read the disk."""
PANIC: Final = "panic: "
"""How its last words begin."""
SECTORS: Final = 400
"""How many each of the others writes."""
ROUNDS: Final = 4000
"""Of its computation."""
_LOOK: Final = 0.02
"""Seconds between two looks at who has ended."""
_TIME_LIMIT: Final = 300.0
"""Seconds in which all must have ended."""
_UNCERTAIN: Final = ("kernel: ", "statistics: ")
"""How the lines of the kernel's output begin that are not part of its report."""


@dataclass(frozen=True)
class Report:
    """What one virtual machine has reported."""

    vm: str
    home_node: int
    seconds: float
    """Since all began."""
    last_words: str
    """The last line of its output."""
    wrong: str
    """What is not as it must be; empty if all is."""


@dataclass(frozen=True)
class Holdings:
    """What there is in memory when all have ended, and none has given anything back."""

    disagreements: Sequence[str]
    """What the auditor has found."""
    statistics: dict[str, Any]
    """See `cluster_statistics`."""
    cached: int
    """Pages in the global disk cache."""
    hits: int
    misses: int
    """Pages that were asked of it, and were there or not."""


class FourMachines:
    """Has them run, and takes their reports; made by `four_machines`."""

    def __init__(self, cluster: Cluster, volume: Volume) -> None:
        self._cluster: Final = cluster
        self._expected: Final = {name: _expected_report(volume, name) for name in NAMES}
        self._may_go: Final = threading.Event()
        self._started = 0.0
        self._holdings: Future[Holdings | None] = Future()

    def start(self) -> None:
        """Let them run."""
        self._started = monotonic()
        self._cluster.start()
        # The keeper does one thing at a time: until this has been done, nobody is buried.
        self._holdings = self._cluster.do(self._look)

    def reports(self, status: Callable[[str], None]) -> Iterator[Report]:
        """What each has reported, as they end. Those that take too long count as wrong."""
        waiting = [self._cluster.members[name] for name in NAMES]
        while waiting:
            seconds = monotonic() - self._started
            status(f"{', '.join(member.name for member in waiting)} … {seconds:.1f} s")
            is_late = seconds > _TIME_LIMIT
            for member in [member for member in waiting if is_late or _has_ended(member)]:
                waiting.remove(member)
                yield self._report(member, seconds, is_late)
            sleep(_LOOK if waiting else 0)

    def holdings(self) -> Holdings:
        """What is in memory now that all have ended."""
        self._may_go.set()
        holdings = self._holdings.result()
        if holdings is None:
            raise RuntimeError("some have not ended")
        return holdings

    def give_up(self) -> None:
        """Look no more; the cluster may go down."""
        self._may_go.set()

    def _report(self, member: Member, seconds: float, is_late: bool) -> Report:
        lines = member.console.read(0)[0].decode(errors="replace").splitlines()
        reported = [line for line in lines if not line.startswith(_UNCERTAIN)]
        status = KernelStatus.PANIC if member.name == CRASHES else KernelStatus.DONE
        end = None if member.task is None else member.task.end
        if is_late:
            wrong = f"it has not ended after {_TIME_LIMIT:.0f} s"
        elif end is None:  # it could not even be started
            wrong = member.reason
        elif isinstance(end, Exception) or end.ending is not Ending.POWER_OFF:
            wrong = reason_of(end)
        else:
            wrong = _difference(reported, self._expected[member.name])
            if not wrong and end.status != status:
                wrong = f"it has ended with status {end.status}, not {status}"
        return Report(member.name, member.configuration.home_node, seconds, (lines or [""])[-1], wrong)

    def _look(self) -> Holdings | None:
        self._may_go.wait()
        members = self._cluster.members.values()
        if not all(_has_ended(member) for member in members):
            return None
        cache = self._cluster.machine.cache
        assert cache is not None
        files = cache.files()
        return Holdings(
            self._cluster.audit(),
            cluster_statistics(self._cluster),
            cached=sum(file.pages for file in files),
            hits=sum(file.hits for file in files),
            misses=sum(file.misses for file in files),
        )


@contextmanager
def four_machines(volume: Volume, disk: Path) -> Iterator[FourMachines]:
    """Let four virtual machines run that share a disk, with `volume` on it; they are gone at the end."""
    members = [_member(name, number % MACHINE.nodes, disk) for number, name in enumerate(NAMES)]
    logging.getLogger("dbt_disco.cluster").addHandler(logging.NullHandler())  # the reports have it all
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TIMER_SIGNALS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        cluster = Cluster(ClusterConfiguration("demo", MACHINE, tuple(members), disk))
        machines = FourMachines(cluster, volume)
        try:
            machines.start()
            yield machines
        finally:
            machines.give_up()
            cluster.close()
    finally:
        sys.setswitchinterval(interval)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _member(name: str, home_node: int, disk: Path) -> MemberConfiguration:
    task = "checksum,crash" if name == CRASHES else "all"
    virtual_machine = Configuration(
        KERNEL,
        command_line=f"task={task} name={name} sectors={SECTORS} rounds={ROUNDS} kind=store",
        memory_size=MEMORY_SIZE,
        drives=[Drive(disk)],
        name=name,
    )
    return MemberConfiguration(name, virtual_machine, home_node)


def _has_ended(member: Member) -> bool:
    """Whether it does not run any more, buried or not."""
    task = member.task
    return member.state is MemberState.FAILED or (task is not None and task.state is TaskState.ENDED)


def _expected_report(volume: Volume, name: str) -> list[str]:
    """What a virtual machine must report; of the last line of one that crashes only what it begins with."""
    if name == CRASHES:
        checksums = map(checksum_line, volume.files)
        return [
            volume_line(volume),
            *checksums,
            "crash: kind=store",
            f"{PANIC}store to an address that is not mapped: ",
        ]
    return [*report_of_all(volume, name, SECTORS, ROUNDS)]


def _difference(reported: Sequence[str], expected: Sequence[str]) -> str:
    """The first difference between two reports; empty if there is none."""
    for number, (line, wanted) in enumerate(zip_longest(reported, expected, fillvalue=""), 1):
        is_open = wanted.endswith(" ")
        if not wanted or not (line.startswith(wanted) if is_open else line == wanted):
            return f"line {number} of its report is {line!r}, and should be {wanted!r}"
    return ""
