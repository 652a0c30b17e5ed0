"""Time and the outside world under the host's clock."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final

from dbt_disco.virtual_machine.descriptor_watch import DescriptorWatch
from dbt_disco.virtual_machine.timer_descriptor import TimerDescriptor
from dbt_disco.virtual_machine.timer_queue import QueuedTimer, TimerQueue
from runtime.system.idle_loop import IdleLoop, IdleVcpu
from runtime.system.preemption_timer import PreemptionTimer

if TYPE_CHECKING:
    from runtime.system.vcpu import SystemVcpu


class HostSurroundings:
    """The `RunSurroundings` of a virtual machine whose time is the host's."""

    def __init__(self, vcpu: SystemVcpu) -> None:
        """Time is that of the vCPU."""
        self.descriptors = DescriptorWatch(vcpu.request_stop)
        self.slept = 0
        self.idle_vcpu: Final = IdleVcpu(vcpu)
        """The vCPU, as native loops know it that see to it while it is idle."""
        self._loop: IdleLoop | None = None
        self._preemption: PreemptionTimer | None = None
        """Its timer."""
        self._vcpu = vcpu
        self._start: int = vcpu.state.start_time
        self._timers = TimerQueue()
        self._timer = TimerDescriptor()
        self._timer_set_to: int | None = None
        self.descriptors.watch(self._timer.descriptor, self._timer_has_expired)

    def close(self) -> None:
        self.descriptors.close()
        self._timer.close()
        if self._preemption is not None:
            self._preemption.close()

    # For devices.

    def now(self) -> int:
        return monotonic_ns() - self._start

    def wall_clock(self) -> int:
        return time_ns()

    def call_at(self, time: int, callback: Callable[[], None]) -> QueuedTimer:
        timer = self._timers.add(time, callback)
        self._see_to(time)
        return timer

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.descriptors.watch(descriptor, callback)

    def unwatch(self, descriptor: int) -> None:
        self.descriptors.unwatch(descriptor)

    def random(self, length: int) -> bytes:
        return os.urandom(length)

    # For the run loop.

    def plan(self) -> None:
        if self.idle_vcpu.timer_was_withheld():
            self._vcpu.expect_compare()

    def run_callbacks(self) -> None:
        self.descriptors.dispatch()

    def idle(self, compare_match: int | None, *, goes_on: bool = False) -> int | None:
        before = monotonic_ns()
        remaining = None
        if compare_match is not None:
            remaining = -(-compare_match * 25 // 4) - (before - self._start)
            if goes_on:
                return self._idle_natively(before + remaining)
            if remaining <= 0:
                return None
        is_ready = self.descriptors.sleep(remaining)
        self.slept += monotonic_ns() - before
        if is_ready:
            self.descriptors.dispatch()
        return None

    def _idle_natively(self, deadline: int) -> int | None:
        loop, vcpu = self._loop, self.idle_vcpu
        if loop is None:
            self._preemption = PreemptionTimer(self._vcpu.native)
            loop = self._loop = IdleLoop(self.descriptors.set_descriptor, timer=self._preemption)
        loop.lend(vcpu, deadline)
        before = loop.slept
        loop.run()
        self.slept += loop.slept - before
        if loop.is_called:
            self.descriptors.dispatch()
        return vcpu.take_back()

    def paused(self, duration: int) -> None:
        self._vcpu.postpone(duration)
        self._start = self._vcpu.state.start_time
        self._timer_set_to = None
        self._see_to_first()

    def _see_to(self, time: int) -> None:
        """Look at the timers at `time`, if not earlier: expiring early costs less than being set every time."""
        if self._timer_set_to is None or time < self._timer_set_to:
            self._timer_set_to = time
            self._timer.set(self._start + time)

    def _see_to_first(self) -> None:
        first = self._timers.first()
        if first is not None:
            self._see_to(first)

    def _timer_has_expired(self) -> None:
        self._timer.acknowledge()
        self._timer_set_to = None
        self._timers.run(self.now())
        self._see_to_first()
