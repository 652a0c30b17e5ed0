"""A processor of the machine: a host thread, and the virtual machine that it runs now.

While it has nothing to do it is in its native loop (`translator.system.idle_loop`), which sleeps, and runs the ticks
of the idle tasks that it sees to. To others it counts as asleep then, whichever of the two it does: `wake` makes it
come by.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from time import clock_gettime_ns, monotonic_ns, pthread_getcpuclockid, thread_time_ns
from typing import TYPE_CHECKING, Final

from dbt_disco.cluster.task import End, Task
from runtime.native_code import system_native_code
from runtime.system.idle_loop import TIMER_SIGNALS, IdleLoop, IdleVcpu
from runtime.system.preemption_timer import PreemptionTimer

if TYPE_CHECKING:
    from dbt_disco.cluster.scheduler import Scheduler

GRANULARITY: Final = 1_000_000
"""Nanoseconds that a task has at least before one that has become ready preempts it."""
_FAULT_SIGNALS: Final = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))


class Processor:
    """Runs what the scheduler gives it, on a thread of its own."""

    def __init__(self, scheduler: Scheduler, number: int, node: int) -> None:
        self.number: Final = number
        self.node: Final = node
        self.current: Task | None = None
        self.is_asleep = False
        self.slice_start = 0
        """When `current` was given to it, in terms of `time.monotonic_ns`."""
        self._busy_time = 0
        self._clock = 0
        """Of its thread's processor time."""
        self._slice_clock: int | None = None
        """What that showed when the slice began that is not over yet."""
        self._scheduler = scheduler
        self._timer: PreemptionTimer | None = None
        self._loop: IdleLoop | None = None
        self._idle: Final[dict[IdleVcpu, Task]] = {}
        """Tasks that it has seen to while they were idle; some are others' since."""
        self._alarm: Final = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable: its sleep is over."""
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"dbt-disco-cpu-{number}", daemon=True)

    # Under the scheduler's lock.

    def preempt_at(self, time: int, now: int) -> None:
        """Have the current task come by at that time, in terms of `time.monotonic_ns`, or a little before."""
        loop = self.loop
        if not now < loop.preempts_at <= time and self._timer is not None:
            loop.preempts_at = time
            self._timer.set(time)

    def wake(self) -> None:
        """End its sleep, or, soon, the tick that it runs meanwhile."""
        if self.is_asleep:
            self.is_asleep = False
            loop, timer = self.loop, self._timer
            loop.want(True)
            os.eventfd_write(self._alarm, 1)
            if timer is not None and timer.is_running:
                timer.set(monotonic_ns() + GRANULARITY)
                loop.preempts_at = (
                    0  # the loop may have set it at the same time: nobody knows when it expires
                )

    def fall_asleep(self) -> None:
        """It has nothing to do, and goes to `_see_to_idle_tasks`."""
        self.is_asleep = True
        self.loop.want(False)

    def see_to(self, task: Task, deadline: int) -> None:
        """A task has become idle on it, and is due at a time of `time.monotonic_ns`; on its own thread."""
        self._idle[task.idle_vcpu] = task
        self.loop.lend(task.idle_vcpu, deadline)

    def take_due(self, now: int) -> Task | None:
        """Take a task that is due from those it sees to; on its own thread."""
        vcpu = self.loop.take_due(now)
        return None if vcpu is None else self._idle.pop(vcpu)

    def forget(self, task: Task) -> None:
        """A task has ended."""
        self._idle.pop(task.idle_vcpu, None)

    @property
    def loop(self) -> IdleLoop:
        """Its native loop, once it has been started."""
        assert self._loop is not None
        return self._loop

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
        ticks = 0 if self._loop is None else self._loop.time
        return self._busy_time + ticks + self.slice_time()

    def slice_time(self) -> int:
        """Nanoseconds of processor time that the current task has had in this slice."""
        start = self._slice_clock
        return 0 if start is None else clock_gettime_ns(self._clock) - start

    # On its own thread.

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - TIMER_SIGNALS - _FAULT_SIGNALS)
        timer = self._timer = PreemptionTimer(system_native_code(big_endian=False))
        self._loop = IdleLoop(self._alarm, timer=timer)
        self._clock = pthread_getcpuclockid(threading.get_ident())
        self._is_ready.set()
        task: Task | None = None
        try:
            while True:
                task = self._scheduler.exchange(self, task)
                if task is None:
                    if self._scheduler.is_closed:
                        return
                    task = self._see_to_idle_tasks(self._loop)
                if task is not None:
                    self._run(task, timer)
        finally:
            timer.close()
            os.close(self._alarm)

    def _see_to_idle_tasks(self, loop: IdleLoop) -> Task | None:
        """Sleep, and run ticks; the task that has stopped for something else, if that is why this has ended."""
        vcpu = loop.run()
        if vcpu is None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._alarm)
            return None
        task = self._idle.pop(vcpu)
        self._scheduler.go_on(self, task)
        return task

    def _run(self, task: Task, timer: PreemptionTimer) -> None:
        """Give the task a slice of time. Nothing that happens in it may harm the thread."""
        end: End | None
        before = self._slice_clock = thread_time_ns()
        timer.runs(task.state_address)
        if (
            self.slice_start <= self.loop.preempts_at <= monotonic_ns()
        ):  # it has expired, and found nobody to ask
            task.vcpu.request_stop()
        try:
            end = task.virtual_machine.proceed()
        except Exception as error:
            end = error
        timer.runs(0)
        self._slice_clock = None
        used = thread_time_ns() - before
        self._busy_time += used
        task.charge(used)
        if end is not None:
            self._scheduler.end(task, end)
