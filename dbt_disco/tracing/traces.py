"""The kinds of trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dbt_disco.tracing.access_recorder import AccessRecorder
from dbt_disco.tracing.register_changes import RegisterChanges
from dbt_disco.tracing.tracing_vcpu import TracingVcpu
from translator.dataflow import dataflow
from translator.decode import disassemble
from translator.encoding import Flow
from translator.state import ExceptionCode, Stop

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu
    from dbt_disco.tracing.trace_output import TraceOutput

_LONGEST_BLOCK: Final = 1024


class InstructionTrace(TracingVcpu):
    """A line per instruction: address, word, assembly, and the registers that it changed.

    A delay slot is marked `+`. An instruction that does not complete says why. What system calls and signals
    change stands in lines of its own.
    """

    def __init__(self, vcpu: AnyVcpu, output: TraceOutput, start: int | None, stop: int | None) -> None:
        super().__init__(vcpu, output, start, stop)
        self._changes: RegisterChanges | None = None

    def begin(self) -> None:
        """See `TracingVcpu`."""
        self._changes = None

    def resume(self) -> None:
        """See `TracingVcpu`."""
        changed = self._changes and self._changes.take()
        if changed:
            self.output.line(f"{'(system)':60} {changed}")

    def trace_next(self) -> Stop:
        """See `TracingVcpu`."""
        state = self.state
        pc, mark = state.pc, "+" if state.in_delay_slot else " "
        word = self.word(pc)
        changes = self._changes = self._changes or RegisterChanges(self.vcpu)
        stop = self.advance(1)
        if stop is Stop.LIMIT:
            return stop
        text = f"{pc:08x}:{mark}" if word is None else f"{pc:08x}:{mark}{word:08x}  {disassemble(word, pc)}"
        outcome = changes.take() if stop is Stop.NONE else _failure(stop, self)
        self.output.line(f"{text:60} {outcome}".rstrip())
        return stop


class BlockTrace(TracingVcpu):
    """A line per block – up to a branch with its delay slot, or an exception –: first and last address,
    length."""

    def trace_next(self) -> Stop:
        """See `TracingVcpu`."""
        state = self.state
        start, before = state.pc, state.clock
        stop = self.advance(1) if state.in_delay_slot else self.advance(self._length(start))
        if stop is Stop.NONE and state.in_delay_slot:
            stop = self.advance(1)
        count = (state.clock - before) // 16
        if stop is Stop.LIMIT and not count:
            return stop
        outcome = "" if stop in (Stop.NONE, Stop.LIMIT) else f"  {_failure(stop, self)}"
        self.output.line(f"{start:08x} {count:4} instructions{outcome}")
        return stop

    def _length(self, start: int) -> int:
        """Instructions up to and including the next branch or the stop address, the delay slot not
        counted."""
        for count in range(1, _LONGEST_BLOCK):
            instruction = self.instruction(start + 4 * (count - 1))
            if instruction is None or instruction.flow is not Flow.NEXT:
                return count
            if start + 4 * count == self.stop_address:
                return count
        return _LONGEST_BLOCK


class MemoryTrace(TracingVcpu):
    """A line per access of an instruction: its address, R or W, width in bytes, address and value.

    What an instruction accesses is found by evaluating its semantics on the reference engine beforehand.
    """

    def __init__(self, vcpu: AnyVcpu, output: TraceOutput, start: int | None, stop: int | None) -> None:
        super().__init__(vcpu, output, start, stop)
        self._recorder = AccessRecorder(vcpu)

    def trace_next(self) -> Stop:
        """See `TracingVcpu`."""
        pc = self.state.pc
        instruction = self.instruction(pc)
        accesses = []
        if instruction is not None and dataflow(instruction.encoding).accesses_memory:
            accesses = self._recorder.accesses()
        stop = self.advance(1)
        if stop is not Stop.LIMIT:
            failure = f"  {_failure(stop, self)}" if stop is not Stop.NONE else ""
            for access in accesses:
                self.output.line(f"{pc:08x} {access}{failure}")
        return stop


KINDS: Final[dict[str, type[TracingVcpu]]] = {
    "insn": InstructionTrace,
    "block": BlockTrace,
    "mem": MemoryTrace,
}
"""By the argument of `--trace`."""


def _failure(stop: Stop, vcpu: TracingVcpu) -> str:
    state = vcpu.state
    if stop is Stop.EXCEPTION:
        return f"! {ExceptionCode(state.exception_code).name}"
    return f"! fault at {state.bad_virtual_address:08x}"
