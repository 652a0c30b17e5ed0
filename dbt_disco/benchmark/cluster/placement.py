"""Virtual machines whose memory is all on the wrong node: how soon it is where it is used, and what that costs.

Two virtual machines run on a machine of two nodes, each on one node with all its memory on the other. Figures do not
depend on how fast nodes are for each other, as all of them are the host's memory: only on what is sampled, moved, and
how much processor time that takes from the guests.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import monotonic, process_time, sleep
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import ClusterConfiguration, MachineConfiguration, MemberConfiguration
from dbt_disco.cluster.service import SWITCH_INTERVAL
from dbt_disco.cluster.task import Task, TaskState
from dbt_disco.demo.guest_kernel import KERNEL
from dbt_disco.virtual_machine.configuration import Configuration
from runtime.system.idle_loop import TIMER_SIGNALS
from runtime.system.placement_policy import DEFAULT_POLICY, NO_POLICY
from runtime.system.vcpu import CLOCK_PER_INSTRUCTION
from translator.state import Stop

SECONDS: Final = 5
"""Of guest work within which memory should be where it is used."""
_NODES: Final = 2
_TIME_LIMIT: Final = 120.0
"""Seconds until the guests must be at work."""
_LOOK: Final = 0.01
_COMPUTING: Final = Configuration(
    KERNEL,
    command_line="task=compute rounds=4294967295",
    memory_size=16 << 20,
    count_instructions=True,
    name="placement",
)
"""A megabyte is taken through a computation, again and again, for ever."""


@dataclass(frozen=True)
class Trace:
    """What became of the virtual machines in one run."""

    policy: str
    local_fractions: Sequence[float | None]
    """Of the accesses sampled in each second of guest work; None: none were."""
    instructions: int
    """Of all guests, within those seconds."""
    processor_time: float
    """Seconds of processors that this process has used meanwhile."""
    statistics: dict[str, Any]
    """See `Placement.statistics`; empty if nothing moves."""

    @property
    def throughput(self) -> float:
        """Guest instructions for each second of processor time."""
        return self.instructions / self.processor_time


@dataclass(frozen=True)
class PlacementFigures:
    """What the scenario has shown."""

    local_at_start: float
    """Fraction of sampled accesses, before anything moves."""
    local_by_second: Sequence[float | None]
    """In each second of guest work of the first run with the policy."""
    cost: float
    """Part of the guests' throughput that sampling and moving takes: median of turns of a run with and one without."""
    migrated: int
    replicated: int
    traces: Sequence[Trace]

    @property
    def local_at_end(self) -> float | None:
        """In the last second."""
        return self.local_by_second[-1]


class StayPolicy:
    """Accesses are sampled, and all pages stay where they are."""

    trigger: Final = 3

    def decide(self, page: object) -> None:
        """See `Policy`."""


NEVER_MOVES: Final = f"{__name__}:{StayPolicy.__name__}"


def measure_placement(
    turns: int, seconds: int = SECONDS, progress: Callable[[str], None] = lambda text: None
) -> PlacementFigures:
    """Run the scenario on our own kernel, with the policy and without in turns."""
    start = run_on_wrong_nodes(NEVER_MOVES, 1)
    traces: list[Trace] = []
    for turn in range(turns):
        for policy in (DEFAULT_POLICY, NO_POLICY):
            progress(f"turn {turn + 1} of {turns}, policy {policy.rpartition(':')[2]}")
            traces.append(run_on_wrong_nodes(policy, seconds))
    moving, still = traces[::2], traces[1::2]
    first = moving[0]
    # The host's own speed changes from turn to turn, but less within one.
    kept = median(a.throughput / b.throughput for a, b in zip(moving, still, strict=True))
    return PlacementFigures(
        local_at_start=start.local_fractions[0] or 0.0,
        local_by_second=first.local_fractions,
        cost=1 - kept,
        migrated=first.statistics["migrated"],
        replicated=first.statistics["replicated"],
        traces=traces,
    )


def run_on_wrong_nodes(
    policy: str,
    seconds: int,
    guest: Configuration = _COMPUTING,
    begins: Callable[[Cluster], bool] = lambda cluster: True,
    memory_per_node: int = 64 << 20,
) -> Trace:
    """Two such guests, and what has been sampled for so many seconds of their work: of processor time, each.

    That begins when `begins` says so, which is asked again and again.
    """
    with _on_wrong_nodes(policy, guest, memory_per_node) as cluster:
        _wait_for(lambda: len(_tasks(cluster)) == _NODES and begins(cluster))
        tasks = _tasks(cluster)
        before, processor_before = _instructions(tasks), process_time()
        fractions: list[float | None] = []
        for _ in range(seconds):
            sampled, local = _sampled(tasks)
            _let_work(cluster, 1)
            sampled_then, local_then = _sampled(tasks)
            more = sampled_then - sampled
            fractions.append((local_then - local) / more if more else None)
        return Trace(
            policy,
            fractions,
            _instructions(tasks) - before,
            process_time() - processor_before,
            {} if cluster.placement is None else cluster.placement.statistics(),
        )


@contextmanager
def _on_wrong_nodes(policy: str, guest: Configuration, memory_per_node: int) -> Iterator[Cluster]:
    machine = MachineConfiguration(_NODES, 1, memory_per_node, policy)
    members = tuple(
        MemberConfiguration(name, replace(guest, name=name), node, memory_node=(node + 1) % _NODES)
        for node, name in enumerate(f"vm{number}" for number in range(1, _NODES + 1))
    )
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TIMER_SIGNALS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        cluster = Cluster(ClusterConfiguration("placement", machine, members, Path()))
        try:
            cluster.start()
            yield cluster
        finally:
            for member in cluster.members.values():
                cluster.do(member.kill, "the measurement is over").result()
            cluster.close()
    finally:
        sys.setswitchinterval(interval)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + _TIME_LIMIT
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"the guests have not got there within {_TIME_LIMIT:g} seconds")
        sleep(_LOOK)


def _tasks(cluster: Cluster) -> list[Task]:
    found = [member.task for member in cluster.members.values()]
    return [task for task in found if task is not None and task.state is not TaskState.ENDED]


def _let_work(cluster: Cluster, seconds: float) -> None:
    """Wait until the guests have had so much processor time, each on average."""
    until = _work(cluster) + seconds * len(cluster.members)
    _wait_for(lambda: _work(cluster) >= until)


def _work(cluster: Cluster) -> float:
    """Seconds of processor time that the guests have had, together."""
    return sum(member.processor_time() for member in cluster.members.values()) / 1e9


def _instructions(tasks: Sequence[Task]) -> int:
    """Executed by all; who runs native code has to come out of it for that to be known."""
    for task in tasks:
        _have_counted(task)
    return sum(int(task.vcpu.state.clock) for task in tasks) // CLOCK_PER_INSTRUCTION


def _have_counted(task: Task) -> None:
    stops = task.vcpu.stops
    visits = stops[Stop.VISIT]
    task.vcpu.ask_for_visit()
    _wait_for(lambda: stops[Stop.VISIT] > visits or task.state is not TaskState.RUNNING)


def _sampled(tasks: Sequence[Task]) -> tuple[int, int]:
    """Accesses sampled, and the local ones of them."""
    counted = [task.sampling.counted() for task in tasks if task.sampling is not None]
    return sum(sampled for sampled, _ in counted), sum(local for _, local in counted)
