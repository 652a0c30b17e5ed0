"""A processor of the machine: a host thread, and the virtual machine that it runs now."""

from __future__ import annotations

import signal
import threading
from time import clock_gettime_ns, monotonic_ns, pthread_getcpuclockid, thread_time_ns
from typing import TYPE_CHECKING, Final

from dbt_disco.cluster.sleep import Sleep
from dbt_disco.cluster.task import End, Task
from runtime.native_code import system_native_code
from runtime.system import host_timer, preemption_timer
from runtime.system.preemption_timer import PreemptionTimer

if TYPE_CHECKING:
    from dbt_disco.cluster.scheduler import Scheduler

TIMER_SIGNALS: Final = frozenset((host_timer.SIGNAL, preemption_timer.SIGNAL))
"""Only processors' threads take them: any other would be disturbed for nothing."""
_FAULT_SIGNALS: Final = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))


class Processor:
    """Runs what the scheduler gives it, on a thread of its own."""

    def __init__(self, scheduler: Scheduler, number: int, node: int) -> None:
        self.number: Final = number
        self.node: Final = node
        self.current: Task | None = None
        self.is_asleep = False
        self.sleeps_until: int | None = None
        """Until when it sleeps if it is not woken, in terms of `time.monotonic_ns`; None: for ever."""
        self.slice_start = 0
        """When `current` was given to it, in terms of `time.monotonic_ns`."""
        self._busy_time = 0
        self._clock = 0
        """Of its thread's processor time."""
        self._slice_clock: int | None = None
        """What that showed when the slice began that is not over yet."""
        self.sleepers: Final[list[tuple[int, int, int, Task]]] = []
        """A heap of (deadline, number, the task's `sleeps`, task): idle tasks that it sees to when they are due."""
        self._preempts_at = 0
        """When its timer expires; 0: it has not been set."""
        self._scheduler = scheduler
        self._timer: PreemptionTimer | None = None
        self._sleep: Sleep | None = None
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"dbt-disco-cpu-{number}", daemon=True)

    # Under the scheduler's lock.

    def preempt_at(self, time: int, now: int) -> None:
        """Have the current task come by at that time, in terms of `time.monotonic_ns`, or a little before."""
        if not now < self._preempts_at <= time and self._timer is not None:
            self._preempts_at = time
            self._timer.set(time)

    def wake(self) -> None:
        """End its sleep."""
        if self.is_asleep:
            self.is_asleep = False
            assert self._sleep is not None
            self._sleep.wake()

    # On any thread.

    def start(self) -> None:
        """Begin to run what there is; returns when it can be woken."""
        self._thread.start()
        self._is_ready.wait()

    def join(self) -> None:
        """Wait for the thread's end, when the scheduler has been closed."""
        self._thread.join()

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller runs on this processor."""
        return threading.current_thread() is self._thread

    def busy_time(self) -> int:
        """Nanoseconds of processor time spent on tasks, up to now."""
        return self._busy_time + self.slice_time()

    def slice_time(self) -> int:
        """Nanoseconds of processor time that the current task has had in this slice."""
        start = self._slice_clock
        return 0 if start is None else clock_gettime_ns(self._clock) - start

    # On its own thread.

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - TIMER_SIGNALS - _FAULT_SIGNALS)
        self._sleep = Sleep(undisturbed_by=TIMER_SIGNALS)
        self._timer = PreemptionTimer(system_native_code(big_endian=False))
        self._clock = pthread_getcpuclockid(threading.get_ident())
        self._is_ready.set()
        task: Task | None = None
        try:
            while True:
                task = self._scheduler.exchange(self, task)
                if task is None:
                    if self._scheduler.is_closed:
                        return
                    until = self.sleeps_until
                    self._sleep.sleep(None if until is None else until - monotonic_ns())
                else:
                    self._run(task, self._timer)
        finally:
            self._timer.close()
            self._sleep.close()

    def _run(self, task: Task, timer: PreemptionTimer) -> None:
        """Give the task a slice of time. Nothing that happens in it may harm the thread."""
        end: End | None
        before = self._slice_clock = thread_time_ns()
        timer.runs(task.state_address)
        try:
            end = task.virtual_machine.proceed()
        except Exception as error:
            end = error
        timer.runs(0)
        self._slice_clock = None
        used = thread_time_ns() - before
        self._busy_time += used
        task.processor_time += used
        task.virtual_time += used
        if end is not None:
            self._scheduler.end(task, end)
