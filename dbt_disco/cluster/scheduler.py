"""Which virtual machine runs on which processor of the machine, and for how long.

Of the tasks that are ready the one that has had least processor time goes first, on a processor of its home node if one
of those takes it before another has nothing to do. An idle task's deadline is seen to by the processor that it ran on
last: when that sleeps, it sleeps until then, and when it runs something else, its timer preempts that.

A processor that sleeps is in its native loop, and runs idle tasks' ticks there without asking anybody: to the scheduler
they stay IDLE. Who wants something of an idle task first catches it (`_catch`): either it stands still then, and no
loop runs it any more, or it is RUNNING, and is asked to stop like any other; its processor comes by with it (`go_on`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic_ns
from typing import Final

from dbt_disco.cluster.processor import GRANULARITY, Processor
from dbt_disco.cluster.task import End, Task, TaskState
from runtime.system.idle_loop import PATIENCE

QUANTUM: Final = 10_000_000
"""Nanoseconds after which a task has to let others go first, if there are any."""
_FOR_EVER: Final = 1 << 62


class Scheduler:
    """Virtual processors on processors. All fields of tasks and processors change under one lock."""

    def __init__(self, processors_per_node: Sequence[int], *, steals: bool = True) -> None:
        """One thread for each processor; with `steals`, tasks run on other nodes when those have nothing to do."""
        self.steals: Final = steals
        nodes = [node for node, count in enumerate(processors_per_node) for _ in range(count)]
        self.processors: Final = [Processor(self, number, node) for number, node in enumerate(nodes)]
        self.is_closed = False
        self._lock: Final = threading.Lock()
        self._changed: Final = threading.Condition(self._lock)
        """A task has stopped running, or one that does has come to a safe point; or is no longer held."""
        self._ready: list[Task] = []
        self._virtual_now = 0
        """About the virtual time of tasks that run: who comes back from idling has not saved up more than that."""
        self._is_holding = False

    def start(self) -> None:
        """Start the processors."""
        for processor in self.processors:
            processor.start()

    def close(self) -> None:
        """End the processors; no task may be left that has not ended."""
        with self._lock:
            self.is_closed = True
            for processor in self.processors:
                processor.wake()
        for processor in self.processors:
            processor.join()

    # For whoever has virtual machines.

    def add(self, task: Task) -> None:
        """Let a new task run."""
        with self._lock:
            task.virtual_time = self._virtual_now
            self._make_ready(task)
            self._find_processor(task)

    def attend(self, task: Task) -> None:
        """The task's vCPU has been asked to stop: if it idles it is to run, and so find out what for."""
        with self._lock:
            if task.state is TaskState.IDLE and self._catch(task):
                self._make_ready(task)
                self._find_processor(task)

    @contextmanager
    def hold(self, *tasks: Task) -> Iterator[None]:
        """Inside, the tasks stand still, and their tables may be changed; waits for that as long as native code needs
        to its next look at the limit, or Python to deal with one stop.

        May be called on a processor by what runs there as part of a task, which counts as standing still while it
        waits here: two may call it about each other. Not to be nested.
        """
        with self._lock:
            own = next((processor.current for processor in self.processors if processor.is_this_thread), None)
            others = [task for task in tasks if task is not own]
            self._begin_hold(own, others)
        try:
            yield
        finally:
            with self._lock:
                for task in others:
                    self._release(task)
                self._is_holding = False
                self._changed.notify_all()

    def _begin_hold(self, own: Task | None, others: Sequence[Task]) -> None:
        if own is not None:
            own.at_safe_point = True
            self._changed.notify_all()
        while self._is_holding:
            self._changed.wait()
        self._is_holding = True
        for task in others:
            self._ask_to_hold(task)
        while any(task.state is TaskState.RUNNING and not task.at_safe_point for task in others):
            self._changed.wait()
        if own is not None:
            own.at_safe_point = False

    def _ask_to_hold(self, task: Task) -> None:
        task.holds += 1
        if task.state is TaskState.IDLE:
            self._catch(task)
        if task.state is TaskState.RUNNING:
            task.vcpu.request_stop()

    def pause(self, task: Task) -> None:
        """Have the task stand still until `resume`; returns when it does. Not on a processor."""
        with self._lock:
            self._ask_to_hold(task)
            while task.state is TaskState.RUNNING:
                self._changed.wait()

    def resume(self, task: Task) -> None:
        """Undo one `pause`."""
        with self._lock:
            self._release(task)

    def _release(self, task: Task) -> None:
        task.holds -= 1
        if not task.holds:
            if task.state is TaskState.IDLE:  # its deadline may have passed unheeded
                self._make_ready(task)
            if task.state is TaskState.READY:
                self._find_processor(task)

    def processor_time(self, task: Task) -> int:
        """Nanoseconds of host processors that a task has had, up to now."""
        with self._lock:
            current = sum(cpu.slice_time() for cpu in self.processors if cpu.current is task)
            return task.processor_time + current

    # For processors.

    def exchange(self, processor: Processor, done: Task | None) -> Task | None:
        """Take back the task that a processor has run, if any, and give it the next one; None if it may sleep."""
        now = monotonic_ns()
        with self._lock:
            processor.is_asleep = False
            if done is not None:
                self._take_back(processor, done)
            due = self._make_due_ready(processor, now)
            task: Task | None
            if done is not None and self._leaves_to_sleepers(done, due):
                self._ready.remove(done)
                task = done
            else:
                task = self._choose(processor) if self._ready else None
            processor.current = task
            if task is not None:
                self._give(processor, task, now)
            elif not self.is_closed:
                processor.fall_asleep()
            return task

    def go_on(self, processor: Processor, task: Task) -> None:
        """The native loop of a processor has run an idle task, which has stopped for something."""
        with self._lock:
            processor.is_asleep = False
            left = task.idle_vcpu.take_back()
            if left is not None:
                task.virtual_machine.goes_on(left)
            self._count_ticks(task)
            processor.current = task
            self._give(processor, task, monotonic_ns())

    def end(self, task: Task, end: End) -> None:
        """A running task will not run any more."""
        with self._lock:
            task.end, task.state = end, TaskState.ENDED
            for processor in self.processors:
                processor.forget(task)
        task.when_ended(end)

    # With the lock.

    def _catch(self, task: Task) -> bool:
        """Whether an idle task stands still, and will; else it is RUNNING."""
        if task.idle_vcpu.take():
            return True
        task.state = TaskState.RUNNING
        return False

    def _make_ready(self, task: Task) -> None:
        task.state = TaskState.READY
        self._count_ticks(task)
        self._ready.append(task)

    def _count_ticks(self, task: Task) -> None:
        task.charge_ticks()
        task.virtual_time = max(task.virtual_time, self._virtual_now - QUANTUM)

    def _find_processor(self, task: Task) -> None:
        """Somebody must run a task that has become ready: who sleeps, rather at home, or else who runs there."""
        if task.holds:
            return
        usable = [processor for processor in self.processors if self._may_run(processor, task)]
        usable.sort(key=lambda processor: processor.node != task.home_node)
        for processor in usable:
            if processor.is_asleep:
                processor.wake()
                return
        now = monotonic_ns()
        for processor in usable[:1]:
            processor.preempt_at(max(now, processor.slice_start + GRANULARITY), now)

    def _may_run(self, processor: Processor, task: Task) -> bool:
        return self.steals or processor.node == task.home_node

    def _make_due_ready(self, processor: Processor, now: int) -> list[Task]:
        """The idle tasks that a processor sees to, and that are to run by now."""
        found = []
        while (due := processor.take_due(now)) is not None:
            self._make_ready(due)
            found.append(due)
        return found

    def _leaves_to_sleepers(self, done: Task, due: Sequence[Task]) -> bool:
        """Whether a task that has been preempted for ticks only goes on at once, as somebody who sleeps can run those.

        He sees to those tasks from then on, natively, and nobody is preempted for them any more.
        """
        if done.state is not TaskState.READY or done.holds or not due:
            return False
        others = [task for task in self._ready if task is not done and not task.holds]
        return len(others) == len(due) and all(
            any(processor.is_asleep and self._may_run(processor, task) for processor in self.processors)
            for task in others
        )

    def _take_back(self, processor: Processor, task: Task) -> None:
        processor.current = None
        if task.state is not TaskState.ENDED:
            if task.virtual_machine.is_waiting and not task.vcpu.state.stop_requested:
                self._put_to_sleep(processor, task)
            else:
                task.state = TaskState.READY
                self._ready.append(task)
        if task.holds or task.state is TaskState.ENDED:
            self._changed.notify_all()

    def _put_to_sleep(self, processor: Processor, task: Task) -> None:
        task.state = TaskState.IDLE
        deadline = task.wakes_at()
        if deadline is not None and not task.holds:
            processor.see_to(task, deadline)

    def _choose(self, processor: Processor) -> Task | None:
        """Of its node's tasks the one that has had least, or else of all others'."""
        node = processor.node
        best: Task | None = None
        best_key = (True, 0)
        for task in self._ready:
            key = (task.home_node != node, task.virtual_time)
            if (not task.holds and (self.steals or not key[0])) and (best is None or key < best_key):
                best, best_key = task, key
        if best is not None:
            self._ready.remove(best)
        return best

    def _give(self, processor: Processor, task: Task, now: int) -> None:
        granularity = PATIENCE if task.virtual_machine.is_waiting else GRANULARITY
        task.state = TaskState.RUNNING
        task.slices += 1
        if task.last_processor != processor.number:
            task.migrations += task.last_processor >= 0
            task.last_processor = processor.number
            task.run_on(processor.node)
        self._virtual_now = max(self._virtual_now, task.virtual_time)
        processor.slice_start = now
        latest = _FOR_EVER
        if self._ready and any(not task.holds for task in self._ready):
            latest = now + QUANTUM
            self._share_out(processor)
        first = processor.loop.first_deadline()
        if first is not None:
            latest = min(latest, max(first, now + granularity))
        if latest < _FOR_EVER:
            processor.preempt_at(latest, now)

    def _share_out(self, processor: Processor) -> None:
        """There is more to do than this processor does: wake one that sleeps."""
        for other in self.processors:
            if other.is_asleep and any(self._may_run(other, task) and not task.holds for task in self._ready):
                other.wake()
                return
