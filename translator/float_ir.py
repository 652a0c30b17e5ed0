"""The FPU on LLVM IR, for both native engines: host arithmetic under the guest's rounding mode.

The hot path of an operation is the host's instruction and a test whether the result is a NaN (does not fit,
is unordered), which may be shared with other operations (`translator.float_checks`). If so, a cold block
delivers MIPS's result instead, and an outlined routine of `translator.float_routines` decides whether that
was an invalid operation. The other exceptions accumulate in the host's sticky flags; what Cause would be is
worked out when asked for, from the recorded last operation.

Where FCSR enables an exception or flushing, this does not do: every operation is a call of the exact routine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

from translator.float_checks import COLD_CALL, FloatChecks, UncheckedFloat, unchecked_operand
from translator.float_expressions import (
    LLVM_TYPE,
    StepEmitter,
    floating_literal,
    relation,
    to_floating,
    to_integral,
    truncate,
)
from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH, INTEGER_WIDTH
from translator.float_operations import (
    EQUAL,
    LESS,
    UNORDERED,
    FloatOperation,
    arithmetic_operation,
    compare_operation,
    convert_operation,
)
from translator.ir import FunctionBuilder, IrValue
from translator.state import ExceptionCode, Stop


class FloatChecking(Enum):
    """How generated code finds out whether operations must be exact (state field `float_checked`)."""

    NEVER = "host arithmetic: the code runs only while float_checked is 0"
    ALWAYS = "exact routine: the code runs only while float_checked is 1"
    BY_STATE = "a test of float_checked at every operation"


OPERAND_FIELDS: Final = ("last_fp_operand0", "last_fp_operand1", "last_fp_operand2")
WRITE_TRAPS, WRITE_CHANGES_MODE = 1, 2
"""What @float_write_fcsr returns, other than 0: FPE is due; float_checked has changed (a trap waits)."""


class FloatLowering(ABC):
    """The floating-point methods of `translator.algebra.Cpu`; a base of the native engines' Cpu."""

    fcc: Any

    def __init__(self, builder: FunctionBuilder, checking: FloatChecking) -> None:
        self.builder = builder
        self.float_checking = checking
        self._checks = FloatChecks(builder, self.floats_checked)
        self._unrecorded: tuple[FloatOperation, tuple[IrValue, ...]] | None = None

    @abstractmethod
    def constant(self, number: int, width: int | None = None) -> IrValue: ...

    @abstractmethod
    def read(self, field: str) -> IrValue: ...

    @abstractmethod
    def write(self, field: str, value: IrValue) -> None: ...

    @abstractmethod
    def trap_if(
        self, condition: IrValue, code: ExceptionCode, bad_address: IrValue | None = None
    ) -> None: ...

    @abstractmethod
    def leave_with_stop(self, stop: Stop) -> None:
        """End the current IR block by leaving native code before this instruction."""

    defers_checks = False
    """Whether checks wait for `settle_floats`, which the engine then has to call."""

    def floats_checked(self, values: Sequence[UncheckedFloat]) -> None:  # noqa: B027
        """Called when values that were put off have been checked: they have new names."""

    def store_float_state(self) -> None:  # noqa: B027
        """Called before a routine that reads fcc and last_fp_…: write back what is not in the CPU state."""

    def reload_float_state(self) -> None:  # noqa: B027
        """Called after a routine that may have changed fcc and last_fp_…: forget copies of them."""

    def float_arithmetic(self, operation: str, kind: str, *operands: IrValue) -> IrValue:
        which = arithmetic_operation(operation, kind)

        def on_host() -> IrValue:
            names = [unchecked_operand(operand) for operand in operands]
            result = StepEmitter(self.builder).arithmetic(operation, kind, *names)
            return self._checks.defer_result(which, names, result)

        return self._lower(which, operands, on_host)

    def float_compare(self, condition: int, kind: str, a: IrValue, b: IrValue) -> IrValue:
        """The host's comparison gives the right outcome for NaNs, too."""
        which = compare_operation(condition, kind)
        relations = condition & (UNORDERED | EQUAL | LESS)

        def on_host() -> IrValue:
            names = unchecked_operand(a), unchecked_operand(b)
            self._checks.defer_comparison(which, *names)
            return IrValue(self.builder, relation(self.builder, relations, kind, *names), 1)

        return self._lower(which, (a, b), on_host, relations)

    def float_convert(self, operation: str, to: str, kind: str, operand: IrValue) -> IrValue:
        which = convert_operation(operation, to, kind)

        def on_host() -> IrValue:
            if to in INTEGER_WIDTH:
                return self._to_integer(which, unchecked_operand(operand))
            if kind in INTEGER_WIDTH:
                result = to_floating(self.builder, to, kind, operand.name)
                return IrValue.from_float(self.builder, result, FORMAT_WIDTH[to])
            name = unchecked_operand(operand)
            return self._checks.defer_result(which, [name], to_floating(self.builder, to, kind, name))

        return self._lower(which, (operand,), on_host)

    def settle_floats(self) -> None:
        """Make results right that have been put off: before anybody can look at the state, and at each
        block's end.

        Must be called where what follows is dominated: not in a block that only some executions pass.
        """
        self._checks.settle()
        if self._unrecorded is not None:
            self._record(*self._unrecorded)
            self._unrecorded = None

    def settle_float(self, value: IrValue) -> None:
        """Make sure that `value` is not one whose check has been put off."""
        if isinstance(value, UncheckedFloat) and value.is_unchecked:
            self._checks.settle()

    def read_fcsr(self) -> IrValue:
        self.settle_floats()
        self.store_float_state()
        return self.builder.value("fcsr", "call i32 @float_read_fcsr(ptr %state)", 32)

    def write_fcsr(self, value: IrValue) -> None:
        """After a change of mode, native code is left before the ctc1, which is then done once more."""
        self.settle_floats()
        builder = self.builder
        call = f"call i32 @float_write_fcsr(ptr %state, {value.typed()})"
        outcome = builder.value("outcome", call, 32)
        self.reload_float_state()
        self.trap_if(outcome.eq(WRITE_TRAPS), ExceptionCode.FPE)
        leave, stay = builder.label("mode_changed"), builder.label("same_mode")
        builder.branch_if(outcome.eq(WRITE_CHANGES_MODE), leave, stay, unlikely=True)
        builder.block(leave)
        self.leave_with_stop(Stop.FPU_MODE)
        builder.block(stay)

    def _lower(
        self,
        which: FloatOperation,
        operands: tuple[IrValue, ...],
        on_host: Callable[[], IrValue],
        relations: int = 0,
    ) -> IrValue:
        """Choose between host arithmetic and the exact routine; `relations` as in `_exact`."""
        if self.float_checking is FloatChecking.ALWAYS:
            return self._exact(which, operands, relations)
        if self.float_checking is FloatChecking.NEVER:
            return self._on_host(which, operands, on_host)
        builder = self.builder
        for operand, source in zip(operands, which.source * which.arity, strict=True):
            _cast_here(operand, source)
        fast, slow, joined = (builder.label(name) for name in ("on_host", "exactly", "computed"))
        builder.branch_if(self.read("float_checked").ne(0), slow, fast, unlikely=True)
        builder.block(slow)
        slow_result = _operand(self._exact(which, operands, relations), which.result)
        slow_end = self._end_arm(joined)
        builder.block(fast)
        fast_result = _operand(self._on_host(which, operands, on_host), which.result)
        fast_end = self._end_arm(joined)
        builder.block(joined)
        kind = LLVM_TYPE[which.result]
        text = f"phi {kind} [ {slow_result}, %{slow_end} ], [ {fast_result}, %{fast_end} ]"
        return self._result(builder.assign("result", text), which.result)

    def _on_host(
        self, which: FloatOperation, operands: tuple[IrValue, ...], on_host: Callable[[], IrValue]
    ) -> IrValue:
        self._checks.make_room()
        result = on_host()
        self._unrecorded = which, operands
        if not self.defers_checks:
            self.settle_floats()
        return result

    def _end_arm(self, joined: str) -> str:
        """Go to `joined`; gives the label of the block from which that happens."""
        label = self.builder.label("arm_end")
        self.builder.emit(f"br label %{label}")
        self.builder.block(label)
        self.builder.emit(f"br label %{joined}")
        return label

    def _result(self, name: str, kind: str) -> IrValue:
        """The local `name`, of the format `kind`, as a Value."""
        if kind in FLOAT_FORMATS:
            return IrValue.from_float(self.builder, name, FORMAT_WIDTH[kind])
        return IrValue(self.builder, name, 1 if kind == "relation" else FORMAT_WIDTH[kind])

    def _record(self, which: FloatOperation, operands: tuple[IrValue, ...]) -> None:
        self.write("last_fp_operation", self.constant(which.number))
        for field, operand in zip(OPERAND_FIELDS, operands, strict=False):
            self.write(field, self._recordable(operand, which.source))

    def _recordable(self, operand: IrValue, source: str) -> IrValue:
        """64 bits with the operand in the low ones. What stands above does not matter: let it cost
        nothing."""
        if source != "s":
            return operand.zext(64)
        builder = self.builder
        pair = builder.assign("pair", f"insertelement <2 x float> poison, float {operand.as_float()}, i32 0")
        frozen = builder.assign("frozen", f"freeze <2 x float> {pair}")
        double = builder.assign("record", f"bitcast <2 x float> {frozen} to double")
        return IrValue.from_float(builder, double, 64)

    def _exact(self, which: FloatOperation, operands: tuple[IrValue, ...], relations: int) -> IrValue:
        """Call the exact routine, which sets Cause and Flags. A comparison asks for one of `relations`."""
        builder = self.builder
        bits = [operand.zext(64).typed() for operand in operands] + ["i64 0"] * (3 - len(operands))
        call = f"call {{ i64, i64 }} @float_checked(ptr %state, i32 {which.number}, {', '.join(bits)})"
        pair = builder.assign("checked", call)
        result = builder.value("exact", f"extractvalue {{ i64, i64 }} {pair}, 0", 64)
        trap = builder.value("trap", f"extractvalue {{ i64, i64 }} {pair}, 1", 64)
        self.write("last_fp_operation", self.constant(0))
        self.trap_if(trap.ne(0), ExceptionCode.FPE)
        if which.group == "compare":
            return (result & relations).ne(0)
        return result.trunc(FORMAT_WIDTH[which.result])

    def _to_integer(self, which: FloatOperation, operand: str) -> IrValue:
        """The host's result for what does not fit is the most negative number, which may be right, too.

        Whether a NaN operand is the host's or MIPS's makes no difference.
        """
        builder, to, source = self.builder, which.result, which.source
        lowest = -1 << (INTEGER_WIDTH[to] - 1)
        truncates = which.name == "trunc"
        integral = operand if truncates else to_integral(builder, which.name, source, operand)
        integer = IrValue(builder, truncate(builder, to, source, integral), INTEGER_WIDTH[to])
        suspect, fits, invalid, done = (
            builder.label(name) for name in ("suspect", "fits", "does_not_fit", "converted")
        )
        builder.branch_if(integer.eq(lowest), suspect, fits, unlikely=True)
        builder.block(suspect)
        exact = to_integral(builder, which.name, source, operand) if truncates else integral
        is_lowest = relation(builder, EQUAL, source, exact, floating_literal(lowest))
        builder.emit(f"br i1 {is_lowest}, label %{fits}, label %{invalid}")
        builder.block(invalid)
        builder.emit(f"{COLD_CALL} @float_invalid(ptr %state)")
        builder.emit(f"br label %{done}")
        builder.block(fits)
        if not truncates:
            truncate(builder, to, source, operand)  # only for the flag *inexact*
        builder.emit(f"br label %{done}")
        builder.block(done)
        text = f"phi {LLVM_TYPE[to]} [ {integer.name}, %{fits} ], [ {~lowest}, %{invalid} ]"
        return self._result(builder.assign("result", text), to)


def _operand(value: IrValue, kind: str) -> str:
    """The LLVM operand of `value` in the type of the format `kind`."""
    return value.as_float() if kind in FLOAT_FORMATS else value.name


def _cast_here(value: IrValue, kind: str) -> None:
    """Make `value` available as bits and as a number of the format `kind` in the current block and below."""
    value.name  # noqa: B018
    if kind in FLOAT_FORMATS:
        value.as_float()
