"""Time and the outside world under the instruction clock: the same inputs give the same run, bit for bit.

Time is what the guest has executed, at the rate that Count gives; while the guest is idle, time skips to the next
event. What comes from outside (console input, packets) is the only thing that can make two runs differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from dbt_disco.virtual_machine.descriptor_watch import DescriptorWatch
from dbt_disco.virtual_machine.timer_queue import QueuedTimer, TimerQueue
from runtime.reference_cpu import CLOCK_PER_INSTRUCTION
from translator.predecode import CLOCK_PER_COUNT

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.processor import AnyVcpu

WALL_CLOCK_AT_START: Final = 2_000_000_000 * 1_000_000_000
"""Nanoseconds since 1970: a day in 2033, later than any file a guest finds on its disks."""
_NANOSECONDS_IN_8_INSTRUCTIONS: Final = 25
_CLOCK_IN_8_INSTRUCTIONS: Final = 8 * CLOCK_PER_INSTRUCTION


def nanoseconds_of(clock: int) -> int:
    """The time at which the vCPU's clock has a value."""
    return clock * _NANOSECONDS_IN_8_INSTRUCTIONS // _CLOCK_IN_8_INSTRUCTIONS


def clock_at(nanoseconds: int) -> int:
    """The vCPU's clock behind the first instruction that does not end before a time."""
    clock = -(-nanoseconds * _CLOCK_IN_8_INSTRUCTIONS // _NANOSECONDS_IN_8_INSTRUCTIONS)
    return -(-clock // CLOCK_PER_INSTRUCTION) * CLOCK_PER_INSTRUCTION


class InstructionSurroundings:
    """The `RunSurroundings` of a virtual machine whose time is its vCPU's."""

    def __init__(self, vcpu: AnyVcpu, seed: int) -> None:
        """`seed` decides what `random` gives."""
        self.descriptors = DescriptorWatch(vcpu.request_stop)
        self.slept = 0
        self.skipped = 0
        """Units of the vCPU's clock that were no instructions."""
        self._vcpu = vcpu
        self._timers = TimerQueue()
        self._random = random.Random(seed)

    def close(self) -> None:
        self.descriptors.close()

    # For devices.

    def now(self) -> int:
        return nanoseconds_of(self._vcpu.state.clock)

    def wall_clock(self) -> int:
        return WALL_CLOCK_AT_START + self.now()

    def call_at(self, time: int, callback: Callable[[], None]) -> QueuedTimer:
        timer = self._timers.add(time, callback)
        self._vcpu.request_stop()  # for another plan
        return timer

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.descriptors.watch(descriptor, callback)

    def unwatch(self, descriptor: int) -> None:
        self.descriptors.unwatch(descriptor)

    def random(self, length: int) -> bytes:
        return self._random.randbytes(length)

    # For the run loop.

    def plan(self) -> None:
        first = self._timers.first()
        self._vcpu.stop_at(None if first is None else clock_at(first))

    def run_callbacks(self) -> None:
        self._timers.run(self.now())
        self.descriptors.dispatch()

    def idle(self, compare_match: int | None, *, goes_on: bool = False) -> None:
        first = self._timers.first()
        if compare_match is not None:
            match = compare_match * CLOCK_PER_COUNT
            self._skip_to(match if first is None else min(match, clock_at(first)))
        elif first is not None:
            self._skip_to(clock_at(first))
        else:
            before = monotonic_ns()
            self.descriptors.sleep(None)
            self.slept += monotonic_ns() - before
        self.run_callbacks()

    def paused(self, duration: int) -> None:
        """The vCPU's clock has stood still, too."""

    def _skip_to(self, clock: int) -> None:
        skipped = max(clock - self._vcpu.state.clock, 0)
        self._vcpu.state.clock += skipped
        self.skipped += skipped
