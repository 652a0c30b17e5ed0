"""Count, Compare and the timer interrupt, when time is the instructions executed.

Time is counted in ticks of Count, 64 bits wide; Count is their low half plus an offset.
"""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import Cause
from translator.predecode import CLOCK_PER_COUNT
from translator.state import CpuState

_MASK: Final = 0xFFFF_FFFF
_WRAP: Final = 1 << 32


class InstructionTimer:
    """The timer in a CPU state."""

    def __init__(self, state: CpuState) -> None:
        self._state = state

    def next_match(self) -> int | None:
        """The clock at which Count reaches Compare; None while Count is stopped."""
        if self._state.cause & Cause.DC:
            return None
        return int(self._state.compare_ticks) * CLOCK_PER_COUNT

    def update(self) -> None:
        """Make the interrupt pending if Count has reached Compare."""
        state = self._state
        if state.cause & Cause.DC:
            return
        ticks = self._ticks()
        if state.compare_ticks <= ticks:
            state.cause |= Cause.TI | Cause.IP7
            while state.compare_ticks <= ticks:
                state.compare_ticks += _WRAP

    def count(self) -> int:
        """The Count register."""
        state = self._state
        if state.cause & Cause.DC:
            return int(state.stopped_count)
        return self._ticks() + int(state.count_offset) & _MASK

    def write_count(self, value: int) -> None:
        state = self._state
        self.update()
        if state.cause & Cause.DC:
            state.stopped_count = value
        else:
            self._start(value)

    def write_compare(self, value: int) -> None:
        """It takes back an interrupt that is pending (MIPS32 PRA vol. III, 9.21)."""
        state = self._state
        state.compare = value
        state.cause &= ~(Cause.TI | Cause.IP7)
        self._expect()

    def before_cause(self, value: int) -> None:
        """Cause is about to become `value`, whose DC bit stops Count or lets it go on."""
        state = self._state
        was_stopped, stops = state.cause & Cause.DC, value & Cause.DC
        if stops and not was_stopped:
            self.update()
            state.stopped_count = self.count()
        elif was_stopped and not stops:
            self._start(state.stopped_count)

    def _ticks(self) -> int:
        return int(self._state.clock) // CLOCK_PER_COUNT

    def _start(self, count: int) -> None:
        """Count goes on from a value."""
        self._state.count_offset = count - self._ticks() & _MASK
        self._expect()

    def _expect(self) -> None:
        """Count reaches Compare when it comes there next: not at once if it is there already."""
        state = self._state
        ticks = self._ticks()
        distance = state.compare - (ticks + state.count_offset) & _MASK
        state.compare_ticks = ticks + (distance or _WRAP)
