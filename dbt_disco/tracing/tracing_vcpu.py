"""A vCPU that reports what it does, between a start and a stop address."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from dbt_disco.observed_vcpu import ObservedVcpu
from dbt_disco.tracing.trace_output import TraceOutput
from translator.decode import Instruction, decode
from translator.state import Stop

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

CLOCK_PER_INSTRUCTION: Final = 16
_NO_LIMIT: Final = 1 << 62


class TracingVcpu(ObservedVcpu):
    """Tracing begins whenever control reaches `start` (None: at once) and ends whenever it reaches `stop`.

    The engine must be precise at faults and count instructions.
    """

    def __init__(self, vcpu: AnyVcpu, output: TraceOutput, start: int | None, stop: int | None) -> None:
        super().__init__(vcpu)
        self.output = output
        self._start = start
        self.stop_address = stop
        self._is_on = start is None

    def run(self) -> Stop:
        """As the vCPU's; lines are written before it returns."""
        if self._is_on:
            self.resume()
        try:
            while True:
                stop = self._trace() if self._is_on else self._run_to_start()
                if stop is not Stop.NONE:
                    return stop
        finally:
            self.output.flush()

    def _run_to_start(self) -> Stop:
        """Run untraced; NONE when tracing begins."""
        self.vcpu.breakpoints = frozenset(() if self._start is None else (self._start,))
        self.vcpu.clock_limit = _NO_LIMIT
        if self.state.pc != self._start:
            stop = self.vcpu.run()
            if stop is not Stop.BREAKPOINT:
                return stop
        self.vcpu.breakpoints = frozenset()
        self._is_on = True
        self.begin()
        return Stop.NONE

    def _trace(self) -> Stop:
        if self.state.pc == self.stop_address:
            self._is_on = False
            return Stop.NONE
        return self.trace_next()

    def begin(self) -> None:
        """Tracing has been off until now."""

    @abstractmethod
    def trace_next(self) -> Stop:
        """Run one instruction or block and report it; NONE if the run can go on."""

    def resume(self) -> None:
        """Control comes back from a system call or a signal, while tracing is on."""

    def advance(self, count: int) -> Stop:
        """Run `count` instructions; NONE if they have been run."""
        before = self.state.clock
        self.vcpu.clock_limit = before + CLOCK_PER_INSTRUCTION * count
        stop = self.vcpu.run()
        if stop is Stop.LIMIT and self.state.clock >= self.vcpu.clock_limit:
            return Stop.NONE
        return stop

    def word(self, pc: int) -> int | None:
        """The instruction word at `pc`; None if it cannot be fetched."""
        from runtime.address_space import GuestFault

        try:
            return int.from_bytes(self.address_space.read(pc, 4), "big" if self.big_endian else "little")
        except GuestFault:
            return None

    def instruction(self, pc: int) -> Instruction | None:
        """The instruction at `pc`; None if it is reserved or cannot be fetched."""
        word = self.word(pc)
        return None if word is None else decode(word)
