"""Stencils: tier 0's handlers once more, with holes where they read the entry's operands, and open at the end.

Copied one behind the other, with their holes filled (`stencil_runs.py`), they are straight-line code, which needs
neither a jump from instruction to instruction nor an entry's operands. What is not simple – a missing slot, an
exception, a branch that has made its target hot – a stencil leaves to the instruction's handler, before it has
changed anything. So there is one place for it, and only simple instructions have stencils.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from translator.dataflow import reads_gpr_destination
from translator.encoding import ENCODINGS, Encoding, Flow
from translator.handler_cpu import ARGUMENT_REGISTERS, StateRegisters, dispatch
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.native_cpu import CONVENTION, PARAMETERS, store_field
from translator.predecode import (
    COUNTER_OFFSET,
    ENTRY_SIZE,
    OPERANDS,
    handler_symbol,
    operand_index,
)
from translator.state import Access, ExceptionCode, Stop
from translator.system.coprocessor import needs_coprocessor_1
from translator.system.handlers import CountingHandlerCpu, SystemHandlerCpu
from translator.system.heat import counter_after, is_noticed

TAIL: Final = "tail"
"""The symbol of what ends straight-line code: on to the entry that has its turn."""
NO_OPERATION: Final = "no_operation"
"""That of an instruction that does nothing."""
CONTINUE: Final = "continue"
"""Undefined symbol: the code that follows."""
IMMEDIATE: Final = "immediate"
"""Undefined symbol: the entry's immediate."""
_FLOWS: Final = (Flow.NEXT, Flow.BRANCH, Flow.JUMP, Flow.JUMP_REGISTER)


def register_symbol(place: int) -> str:
    """Undefined symbol: the offset in the state of the register that an operand byte names …"""
    return f"register_{place}"


def source_symbol(place: int) -> str:
    """… and the same where the sink of writes to $zero is not meant."""
    return f"source_{place}"


def operand_symbol(place: int) -> str:
    """Undefined symbol: an operand byte."""
    return f"operand_{place}"


class NotSimple(Exception):
    """The instruction has no stencil."""


class _Operand(IrValue):
    """An operand byte: a number that the linker would give."""

    __slots__ = ("place",)

    def __init__(self, builder: FunctionBuilder, place: int) -> None:
        super().__init__(builder, _number(operand_symbol(place)), 32)
        self.place: Final = place


def _number(symbol: str, width: int = 32) -> str:
    """The address of a symbol as an operand."""
    return f"ptrtoint (ptr @{symbol} to i{width})"


class _Holes:
    """Operand fields."""

    def __init__(self, builder: FunctionBuilder, encoding: Encoding) -> None:
        self._builder = builder
        self._encoding = encoding

    def __getattr__(self, name: str) -> Any:
        shift, _ = self._encoding.fields[name]
        if name in ("imm", "uimm", "offset", "index"):
            return IrValue(self._builder, _number(IMMEDIATE), 32)
        return _Operand(self._builder, operand_index(shift))


class _Registers(StateRegisters):
    """General registers, by the offsets in the state that holes give."""

    _cpu: StencilCpu

    def _pointer(self, register: IrValue | int) -> str:
        return (
            super()._pointer(register) if isinstance(register, int) else self._at(register, register_symbol)
        )

    def _at(self, register: IrValue, symbol: Callable[[int], str]) -> str:
        if not isinstance(register, _Operand):
            raise NotSimple
        index = _number(symbol(register.place), 64)
        return self._cpu.builder.assign("gpr", f"getelementptr i8, ptr %state, i64 {index}")

    def __getitem__(self, register: IrValue | int) -> IrValue:
        if isinstance(register, int):
            return super().__getitem__(register)
        pointer = self._at(register, source_symbol if self._reads_destination else register_symbol)
        return self._cpu.builder.value("reg", f"load i32, ptr {pointer}, align 4", 32)

    def __setitem__(self, register: IrValue | int, value: IrValue) -> None:
        self._cpu.note_change()
        super().__setitem__(register, value)


class StencilCpu(SystemHandlerCpu):
    """Leaves what is not simple to the handler, and ends where the next instruction's code follows."""

    _has_changed = False
    _clock_checked: IrValue | None = None

    def __init__(self, builder: FunctionBuilder, big_endian: bool, encoding: Encoding) -> None:
        self._handler = handler_symbol(encoding.mnemonic)
        self._flow = encoding.flow
        super().__init__(builder, big_endian, encoding)
        self.gpr = _Registers(self, "gpr", 4, 32, reads_destination=reads_gpr_destination(encoding))

    def begin(self) -> None:
        super().begin()
        if self._flow in (Flow.JUMP, Flow.JUMP_REGISTER):  # these link before they jump
            self._clock_checked = super()._check_limit()

    def note_change(self) -> None:
        """The instruction cannot be left to the handler any more."""
        self._has_changed = True

    def write(self, field: str, value: IrValue) -> None:
        self.note_change()
        super().write(field, value)

    def store(self, address: IrValue, value: IrValue) -> None:
        super().store(address, value)
        self.note_change()

    # Leaving.

    def _leave_it(self) -> None:
        if self._has_changed:
            raise NotSimple
        self._tail_call(self._handler)

    def _leave_if(self, condition: IrValue) -> None:
        leaving, staying = self.builder.label("leave"), self.builder.label("stay")
        self.builder.branch_if(condition, leaving, staying, unlikely=True)
        self.builder.block(leaving)
        self._leave_it()
        self.builder.block(staying)

    def _leave_for_access(self, address: IrValue, kind: Access, size: int) -> None:
        self._leave_it()

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        self._leave_it()

    def leave_with_stop(self, stop: Stop) -> None:
        self._leave_it()

    def trap_if(self, condition: IrValue, code: ExceptionCode, bad_address: IrValue | None = None) -> None:
        if condition.number != 0:
            self._leave_if(condition)

    def refuse_delay_slot(self) -> None:
        """A branch in a delay slot gets no stencil (`stencil_runs`)."""

    # Control.

    def _stop_if(self, condition: IrValue, stop: Stop, hot_target: str | None = None) -> None:
        self._leave_if(condition)

    def _check_limit(self) -> IrValue:
        return self._clock_checked or super()._check_limit()

    def branch_likely(self, condition: IrValue, offset: IrValue) -> None:
        raise NotSimple

    def _go_to(self, target: str, counted: bool = True) -> None:
        """A taken branch to another place of the page, not to the slot, nor far back (`stencil_runs`)."""
        builder = self.builder
        self.ended = True
        clock = self._check_limit()
        goal = IrValue(builder, builder.assign("goal", f"ptrtoint ptr {target} to i64"), 64)
        pointer = builder.assign("at", f"getelementptr i8, ptr {target}, i64 {COUNTER_OFFSET}")
        count = counter_after(builder.value("count", f"load i32, ptr {pointer}", 32), self.read("heat"))
        self._leave_if(is_noticed(count))
        builder.emit(f"store {count.typed()}, ptr {pointer}")
        store_field(builder, "last_branch", "ptr %entry")
        self._go_on("%next", target, (clock + ENTRY_SIZE - goal).name)

    def _fall_through(self) -> None:
        self.ended = True
        builder = self.builder
        # LLVM would add to another register, and then move that.
        entry, following, _ = ARGUMENT_REGISTERS
        text = f'"movq $1, $0; addq $${ENTRY_SIZE}, $1", "={{{entry}}},={{{following}}},1,~{{flags}}"'
        both = builder.assign("step", f"call {{ ptr, ptr }} asm {text}(ptr %next)")
        at, after = (builder.assign("at", f"extractvalue {{ ptr, ptr }} {both}, {n}") for n in range(2))
        self._go_on(at, after, "%bias")

    def _go_on(self, entry: str, following: str, bias: str) -> None:
        arguments = f"ptr %state, ptr %memory, ptr %handlers, ptr {entry}, ptr {following}, i64 {bias}"
        self._tail_call(CONTINUE, arguments)

    def reconsider(self) -> None:
        raise NotSimple


class CountingStencilCpu(StencilCpu, CountingHandlerCpu):
    """The same for the instruction clock: a look at the limit in front of every instruction."""


def stencil_of(encoding: Encoding, kind: type[StencilCpu], big_endian: bool) -> str | None:
    """The definition of an instruction's stencil; None if it has none."""
    if encoding.privileged or encoding.flow not in _FLOWS or needs_coprocessor_1(encoding):
        return None
    builder = FunctionBuilder()
    try:
        cpu = kind(builder, big_endian, encoding)
        encoding.semantics(cpu, _Holes(builder, encoding))
        cpu.finish()
    except NotSimple:
        return None
    if any(" call i" in line and "@llvm." not in line for line in builder.lines):
        return None
    return _function(encoding.mnemonic, builder)


def _function(name: str, builder: FunctionBuilder) -> str:
    body = "\n".join(builder.lines)
    # Small code has the conditional branch to the handler as one instruction.
    return f"define {CONVENTION} void @{name}({PARAMETERS}) nounwind optsize {{\n{body}\n}}\n"


def stencils_ir(big_endian: bool, counts: bool = False) -> str:
    """All stencils as one LLVM module, each a function by the name of its mnemonic; and the tail."""
    kind = CountingStencilCpu if counts else StencilCpu
    tail, nothing = FunctionBuilder(), FunctionBuilder()
    dispatch(tail, "%entry", "%next", "%bias")
    kind(nothing, big_endian, ENCODINGS["sll"]).finish()
    parts = [_function(TAIL, tail), _function(NO_OPERATION, nothing)]
    for encoding in ENCODINGS.values():
        stencil = stencil_of(encoding, kind, big_endian)
        if stencil is not None:
            handler = handler_symbol(encoding.mnemonic)
            parts += [stencil, f"declare {CONVENTION} void @{handler}({PARAMETERS})"]
    text = "\n".join(parts)
    symbols = [IMMEDIATE]
    for symbol in (register_symbol, source_symbol, operand_symbol):
        symbols += [symbol(place) for place in range(OPERANDS)]
    holes = [f"@{symbol} = external dso_local global i8" for symbol in symbols]
    return "\n".join(
        [
            *holes,
            f"declare {CONVENTION} void @{CONTINUE}({PARAMETERS})",
            text,
            intrinsic_declarations(text),
            UNLIKELY_METADATA,
        ]
    )
