"""Equal pages of a cluster's virtual machines become one: when they are looked for, and how little that disturbs.

A thread of its own looks, which costs nobody else anything: soon after a virtual machine has been started, twice, since
what is to be joined has to have stayed the same in between; then ever more rarely, and not at all if hardly anything
has run. What it finds is joined by the keeper, who has virtual machines stand still for a moment at a time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from itertools import groupby
from time import monotonic_ns, thread_time_ns
from typing import Any, Final

from dbt_disco.cluster.member import Member
from dbt_disco.cluster.scheduler import Scheduler
from dbt_disco.cluster.task import Task, TaskState
from runtime.system.content_sharing import ContentSharing, Match
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory

_log: Final = logging.getLogger("dbt_disco.cluster")
_SECOND: Final = 1_000_000_000
_FIRST_DELAY: Final = 3.0
_LONGEST_DELAY: Final = 60.0
"""Seconds between looks, to which they double when there is little to be found."""
_LOOKS: Final = 2
"""So many follow a start without waiting for longer each time."""
_LARGEST_PART: Final = 1 / 64
"""Of a processor that looking takes at most, in the long run."""
_HARDLY_ANYTHING: Final = 0.04
"""Processor time for each second and virtual machine, below which there is nothing new to be found."""
_WORTH_IT: Final = 256
"""Pages joined after a look that make it worth while to look again soon."""
_HOLD: Final = 2_000_000
"""Nanoseconds of joining for which virtual machines stand still; one page more may be joined."""
_PAUSE: Final = 0.02
"""Seconds that they run in between."""

_Tasks = dict[PhysicalMemory, tuple[Member, Task]]


class PageSharing:
    """Runs from `start` to `close`."""

    def __init__(
        self,
        memory: MachineMemory,
        members: Iterable[Member],
        scheduler: Scheduler,
        do: Callable[..., Future[int]],
    ) -> None:
        """`do`: has the keeper call something; see `Cluster.do`."""
        self.sharing: Final = ContentSharing(memory)
        self.looks = 0
        self.holds = 0
        self.longest_hold = 0
        """Nanoseconds that virtual machines have stood still at most."""
        self._time = 0
        self._members: Final = members
        self._scheduler: Final = scheduler
        self._do: Final = do
        self._looks_due = 0
        self._is_wanted: Final = threading.Event()
        self._is_closing: Final = threading.Event()
        self._reclaim: Final = memory.reclaim
        memory.reclaim = self._memory_is_scarce
        self._thread: Final = threading.Thread(target=self._run, name="dbt-disco-page-sharing", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; not on the keeper's thread."""
        self._is_closing.set()
        self._is_wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def look_soon(self) -> None:
        """A virtual machine has been started, or memory gets scarce; on any thread."""
        self._looks_due = _LOOKS
        self._is_wanted.set()

    def statistics(self) -> dict[str, Any]:
        """What `ContentSharing` has done; times in seconds."""
        return {
            "looks": self.looks,
            "joined": self.sharing.joined,
            "seconds": self._time / _SECOND,
            "holds": self.holds,
            "longest_hold": self.longest_hold / _SECOND,
        }

    def _run(self) -> None:
        try:
            self._look_from_time_to_time()
        except CancelledError:
            pass  # the keeper has gone
        except Exception:
            _log.exception("an error in the monitor: equal pages are not looked for any more")

    def _look_from_time_to_time(self) -> None:
        delay, last = _FIRST_DELAY, monotonic_ns()
        had: dict[Task, int] = {}
        while True:
            if self._is_wanted.wait(delay):
                self._is_closing.wait(_FIRST_DELAY)  # what has just been started is to have done something
                self._is_wanted.clear()
            if self._is_closing.is_set():
                return
            tasks = self._tasks()
            times = {task: self._scheduler.processor_time(task) for _, task in tasks.values()}
            busy = sum(time - had.get(task, 0) for task, time in times.items())
            now = monotonic_ns()
            joined, cost = 0, 0.0
            if self._looks_due or busy > _HARDLY_ANYTHING * (now - last) * len(tasks):
                had, last = times, now
                before = self._time
                joined = self._share(tasks)
                cost = (self._time - before) / _SECOND
            soon = self._looks_due or joined > _WORTH_IT
            delay = _FIRST_DELAY if soon else min(2 * delay, _LONGEST_DELAY)
            delay = max(delay, cost / _LARGEST_PART)

    def _tasks(self) -> _Tasks:
        """All virtual machines that run, by their memory."""
        pairs = ((member, member.task) for member in self._members)
        return {task.virtual_machine.memory: (member, task) for member, task in pairs if task is not None}

    def _share(self, tasks: _Tasks) -> int:
        """Look once, and have the keeper join what is found; how many pages are free now."""
        before = thread_time_ns()
        self._looks_due = max(self._looks_due - 1, 0)
        matches = self.sharing.look(tasks)
        self.looks += 1
        self._time += thread_time_ns() - before
        joined = 0
        for memories, group in groupby(matches, lambda match: match.memories):
            some = list(group)
            while some and not self._is_closing.wait(_PAUSE):
                joined += self._do(self._join_some, some, [tasks[memory] for memory in memories]).result()
        return joined

    def _memory_is_scarce(self, wanted: int) -> int:
        """See `MachineMemory.reclaim`."""
        self.look_soon()
        return 0 if self._reclaim is None else self._reclaim(wanted)

    # On the keeper's thread, so that no virtual machine goes meanwhile.

    def _join_some(self, matches: list[Match], concerned: list[tuple[Member, Task]]) -> int:
        """Join some of a list, and take them out of it."""
        if any(member.task is not task or task.state is TaskState.ENDED for member, task in concerned):
            matches.clear()
            return 0
        before = thread_time_ns()
        with self._scheduler.hold(*(task for _, task in concerned)):
            start = monotonic_ns()
            joined = self.sharing.join(matches, start + _HOLD)
            self.longest_hold = max(self.longest_hold, monotonic_ns() - start)
        self.holds += 1
        self._time += thread_time_ns() - before
        return joined
