"""Pages of a cluster's virtual machines move to where they are used: who looks at that, and when.

Every few milliseconds, each virtual machine that runs ages some of its tables on its own thread (`AccessSampling`); ten
times in a second the keeper, between lives, moves some pages that are hot (`PagePlacement`), while the virtual machines
that have them stand still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from time import monotonic, thread_time_ns
from typing import Any, Final

from dbt_disco.cluster.scheduler import Scheduler
from dbt_disco.cluster.task import Task, TaskState
from runtime.system.access_sampling import AccessSampling
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.page_placement import PagePlacement
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.placement_policy import Policy

VISIT_PERIOD: Final = 0.02
"""Seconds between two times that a virtual machine ages tables, if it runs."""
_VISITS_PER_STEP: Final = 5
_STEPS_PER_PERIOD: Final = 10
"""A period of the statistics; after it pages that were to stay may be looked at once more."""
_PERIODS_PER_RESET: Final = 4
"""After so many, what has been sampled is halved, and copies that nobody uses are given up."""
_PERIODS_PER_NEW_MOVES: Final = 32
"""After so many, numbers of moves are halved."""
_NANOSECONDS: Final = 1_000_000_000

Steps = Callable[[Callable[[], None]], Future[None]]
"""Has the keeper do something: see `Cluster.do`."""


class Locality:
    """Sampled accesses, and how many of them were local: of all time, and of the last period."""

    def __init__(self) -> None:
        self.total = (0, 0)
        self.fraction: float | None = None
        """Of the last period that had any."""

    def count(self, sampled: int, local: int) -> None:
        """A period has ended with these totals."""
        before_sampled, before_local = self.total
        if sampled > before_sampled:
            self.fraction = (local - before_local) / (sampled - before_sampled)
        self.total = sampled, local


class Placement:
    """Of one cluster, on a machine of several nodes, under a policy."""

    def __init__(
        self,
        memory: MachineMemory,
        policy: Policy,
        scheduler: Scheduler,
        tasks: Callable[[], Collection[Task]],
        do: Steps,
    ) -> None:
        """`tasks`: of all virtual machines there are; to be asked on the keeper's thread. `do`: hands over to that."""
        self._memory: Final = memory
        self._scheduler: Final = scheduler
        self._tasks: Final = tasks
        self._do: Final = do
        self.moves: Final = PageMoves(memory, self._memories)
        self._placement: Final = PagePlacement(memory, self.moves, self._memories, policy)
        self.locality: Final = Locality()
        """Of all virtual machines together."""
        self._of_tasks: dict[Task, Locality] = {}
        self._past_sampled = self._past_local = self._past_nanoseconds = 0
        """Of virtual machines that are no more."""
        self._nanoseconds = 0
        """Processor time of steps."""
        self._steps = 0
        self._is_closing: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._serve, name="dbt-disco-placement", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Nothing moves any more; before the keeper ends."""
        self._is_closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    # On the keeper's thread.

    def add(self, task: Task) -> None:
        """A virtual machine that is going to run."""
        task.sampling = AccessSampling(task.vcpu)
        self._of_tasks[task] = Locality()

    def step(self) -> None:
        """Move some pages, and see to what is due."""
        if self._is_closing.is_set():
            return
        before = thread_time_ns()
        tasks = {task.virtual_machine.memory.number: task for task in self._tasks()}

        def hold(numbers: frozenset[int]) -> AbstractContextManager[None]:
            return self._scheduler.hold(*(tasks[number] for number in numbers))

        self._placement.step(hold)
        self._steps += 1
        periods, within = divmod(self._steps, _STEPS_PER_PERIOD)
        if not within:
            self._end_period()
            if periods % _PERIODS_PER_RESET == 0:
                self._placement.halve()
                self.moves.sweep()
            if periods % _PERIODS_PER_NEW_MOVES == 0:
                self._placement.forget_moves()
        self._nanoseconds += thread_time_ns() - before

    def _end_period(self) -> None:
        alive = set(self._tasks())
        for task in [task for task in self._of_tasks if task not in alive]:
            del self._of_tasks[task]
            assert task.sampling is not None
            sampled, local = task.sampling.counted()
            self._past_sampled += sampled
            self._past_local += local
            self._past_nanoseconds += task.sampling.nanoseconds
        all_sampled, all_local = self._past_sampled, self._past_local
        for task, locality in self._of_tasks.items():
            assert task.sampling is not None
            sampled, local = task.sampling.counted()
            locality.count(sampled, local)
            all_sampled += sampled
            all_local += local
        self.locality.count(all_sampled, all_local)

    def _memories(self) -> Mapping[int, PhysicalMemory]:
        memories = (task.virtual_machine.memory for task in self._tasks())
        return {memory.number: memory for memory in memories}

    def held(self) -> EntryList:
        """Pages that copies stand for, for the auditor."""
        return self.moves.held()

    # On any thread.

    def local_fraction(self, task: Task) -> float | None:
        """Of a virtual machine's accesses in the last period with any; None: there were none yet."""
        locality = self._of_tasks.get(task)
        return None if locality is None else locality.fraction

    def statistics(self) -> dict[str, Any]:
        """Totals since the start, but for the fraction, which is of the last period; time in seconds."""
        moves, samplings = self.moves, [task.sampling for task in list(self._of_tasks)]
        nanoseconds = sum(sampling.nanoseconds for sampling in samplings if sampling is not None)
        return {
            "local_fraction": self.locality.fraction,
            "sampled": self.locality.total[0],
            "migrated": moves.migrated,
            "replicated": moves.replicated,
            "collapsed": moves.collapsed,
            "moved_to_nodes": list(moves.moved_to),
            "seconds": (nanoseconds + self._past_nanoseconds + self._nanoseconds) / _NANOSECONDS,
        }

    # On a thread of its own.

    def _serve(self) -> None:
        visits, step, next_visit = 0, None, monotonic()
        while not self._is_closing.wait(max(next_visit - monotonic(), 0)):
            next_visit = max(next_visit + VISIT_PERIOD, monotonic())
            visits += 1
            for task in list(self._of_tasks):
                if task.state is TaskState.RUNNING and task.sampling is not None:
                    task.sampling.ask()
            if visits % _VISITS_PER_STEP == 0 and (step is None or step.done()):
                step = self._do(self.step)
