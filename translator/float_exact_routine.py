"""The native routine that carries out one FPU operation, given by number, and reports its exceptions.

    { i64 result, i64 exceptions } @float_exact(ptr state, i32 operation, i64 a, i64 b, i64 c)

It computes under the state's rounding mode and FS. What it leaves in the host's control register are the
flags of the operation, so callers must have taken those that stood there (`collect_sticky_flags`): each
change of that register costs more than all the rest. An operation's steps (madd: product, sum) are internal
functions that know about flushing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from translator.fcsr import FLAGS_SHIFT as FCSR_FLAGS_SHIFT
from translator.fcsr import FLUSH_BIT, ROUNDING_MASK, FloatException, Rounding
from translator.float_expressions import (
    LLVM_TYPE,
    StepEmitter,
    floating_literal,
    relation,
    step,
    to_floating,
    to_integral,
    truncate,
    unordered,
)
from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH, INTEGER_WIDTH
from translator.float_invalid import is_signalling, settled_nan
from translator.float_operations import (
    CONVERT_ROUNDING,
    EQUAL,
    FLOAT_CONVERSIONS,
    FLOAT_OPERATIONS,
    LESS,
    UNORDERED,
    FloatOperation,
)
from translator.host_float import (
    CONTROL_DEFAULT,
    CONTROL_FLAGS,
    EXCEPTIONS_TABLE,
    FLAGS_SHIFT,
    LOAD_CONTROL,
    ROUNDING_SHIFT,
    ROUNDING_TABLE,
    STORE_CONTROL,
    control_of,
)
from translator.ir import FunctionBuilder, IrValue
from translator.state import OFFSET

_WORK: Final = {"clean": 0, "chopping": 4, "found": 8, "raised": 12, "flush": 16}
"""Offsets of the words shared with the steps: control registers with the guest's rounding mode and with
rounding toward zero; where to store the control register; host flags raised so far; FS."""
_EXACT_CONVERSIONS: Final = {("d", "s"), ("d", "w")}


def exact_routine_ir() -> str:
    """LLVM IR of @float_exact and its steps."""
    steps = [_arithmetic_step(name, kind) for kind in "sd" for name in ("add", "sub", "mul", "div", "sqrt")]
    steps += [
        _conversion_step(to, source)
        for to, source in FLOAT_CONVERSIONS
        if (to, source) not in _EXACT_CONVERSIONS
    ]
    return "\n".join([*steps, _float_exact()])


def rounding_control(builder: FunctionBuilder, fcsr: IrValue) -> IrValue:
    """The host's control register for the rounding mode in `fcsr`, no flag set."""
    position = (fcsr & ROUNDING_MASK) << 1
    rounding = builder.constant(ROUNDING_TABLE, 32).shift_right(position) & 3
    return (rounding << ROUNDING_SHIFT) | CONTROL_DEFAULT


def exceptions_of_control(builder: FunctionBuilder, control: IrValue) -> IrValue:
    """The guest's exceptions (64 bits, no *invalid*) that the host's sticky flags in `control` stand for."""
    position = ((control.shift_right(FLAGS_SHIFT) & 15) << 2).zext(64)
    return builder.constant(EXCEPTIONS_TABLE, 64).shift_right(position) & 15


def collect_sticky_flags(builder: FunctionBuilder) -> IrValue:
    """Move the host's sticky flags into FCSR, which is given back. They stay in the control register, too."""
    builder.emit("%control.at = alloca i32")
    builder.emit(f"call void @{STORE_CONTROL}(ptr %control.at)")
    control = builder.value("control", "load i32, ptr %control.at", 32)
    pointer = builder.assign("at", f"getelementptr i8, ptr %state, i64 {OFFSET['fcsr']}")
    before = builder.value("before", f"load i32, ptr {pointer}", 32)
    fcsr = before | (exceptions_of_control(builder, control).trunc(32) << FCSR_FLAGS_SHIFT)
    builder.emit(f"store {fcsr.typed()}, ptr {pointer}")
    return fcsr


def _work_pointer(builder: FunctionBuilder, name: str) -> str:
    return builder.assign(name, f"getelementptr i8, ptr %work, i64 {_WORK[name]}")


def _load_work(builder: FunctionBuilder, name: str) -> IrValue:
    return builder.value(name, f"load i32, ptr {_work_pointer(builder, name)}", 32)


def _store_work(builder: FunctionBuilder, name: str, value: IrValue) -> None:
    builder.emit(f"store {value.typed()}, ptr {_work_pointer(builder, name)}")


def _control(builder: FunctionBuilder, intrinsic: str, name: str) -> None:
    """Load the control register from a word of the work area, or store it there."""
    builder.emit(f"call void @{intrinsic}(ptr {_work_pointer(builder, name)})")


def _raise(builder: FunctionBuilder, flags: IrValue) -> None:
    _store_work(builder, "raised", _load_work(builder, "raised") | flags)


def _arithmetic_step(name: str, kind: str) -> str:
    count = 1 if name == "sqrt" else 2
    operands = [f"%operand{k}" for k in range(count)]
    parameters = "".join(f"{LLVM_TYPE[kind]} {operand}, " for operand in operands)
    return _step_function(f"{name}_{kind}", parameters, kind, lambda at: step(at, name, kind, *operands))


def _conversion_step(to: str, source: str) -> str:
    parameters = f"{LLVM_TYPE[source]} %operand0, "
    return _step_function(
        f"cvt_{to}_{source}", parameters, to, lambda at: to_floating(at, to, source, "%operand0")
    )


def _step_function(name: str, parameters: str, kind: str, compute: Callable[[FunctionBuilder], str]) -> str:
    """One rounding; its flags accumulate in the control register.

    With FS, what is tiny before rounding becomes a zero without any exception. It is tiny exactly if its
    truncation is smaller than the smallest normalised number.
    """
    builder = FunctionBuilder()
    width, lowest = FORMAT_WIDTH[kind], FLOAT_FORMATS[kind].minimum_normal
    magnitude_mask = FLOAT_FORMATS[kind].sign_bit - 1
    builder.branch_if(_load_work(builder, "flush").ne(0), "flushing", "plain", unlikely=True)
    builder.block("plain")
    builder.emit(f"ret {LLVM_TYPE[kind]} {compute(builder)}")
    builder.block("flushing")
    _collect_flags(builder)
    _control(builder, LOAD_CONTROL, "clean")
    result = IrValue.from_float(builder, compute(builder), width)
    builder.branch_if((result & magnitude_mask).lt_unsigned(lowest + 1), "check", "keep")
    builder.block("check")
    _control(builder, STORE_CONTROL, "found")
    _control(builder, LOAD_CONTROL, "chopping")
    chopped = IrValue.from_float(builder, compute(builder), width)
    _control(builder, LOAD_CONTROL, "clean")
    builder.branch_if((chopped & magnitude_mask).lt_unsigned(lowest), "flush", "round")
    builder.block("flush")
    zero = result & FLOAT_FORMATS[kind].sign_bit
    builder.emit(f"ret {LLVM_TYPE[kind]} {zero.as_float()}")
    builder.block("round")
    _raise(builder, _load_work(builder, "found"))
    builder.emit("br label %keep")
    builder.block("keep")
    builder.emit(f"ret {LLVM_TYPE[kind]} {result.as_float()}")
    body = "\n".join(builder.lines)
    return (
        f"define internal {LLVM_TYPE[kind]} @float_step_{name}({parameters}ptr %work) "
        f"nounwind noinline strictfp {{\n{body}\n}}\n"
    )


def _collect_flags(builder: FunctionBuilder) -> None:
    """Add the flags in the control register to those raised so far."""
    _control(builder, STORE_CONTROL, "found")
    _raise(builder, _load_work(builder, "found"))


class _ExactSteps(StepEmitter):
    """Composes operations of the step functions."""

    def step(self, name: str, kind: str, *operands: str) -> str:
        typed = "".join(f"{LLVM_TYPE[kind]} {operand}, " for operand in operands)
        call = f"call {LLVM_TYPE[kind]} @float_step_{name}_{kind}({typed}ptr %work)"
        return self.builder.assign(name, call)


def _float_exact() -> str:
    builder = FunctionBuilder()
    builder.emit(f"%work = alloca [{len(_WORK)} x i32]")
    pointer = builder.assign("at", f"getelementptr i8, ptr %state, i64 {OFFSET['fcsr']}")
    fcsr = builder.value("fcsr", f"load i32, ptr {pointer}", 32)
    _store_work(builder, "clean", rounding_control(builder, fcsr))
    _store_work(builder, "chopping", builder.constant(control_of(Rounding.TOWARD_ZERO), 32))
    _store_work(builder, "flush", fcsr & 1 << FLUSH_BIT)
    _store_work(builder, "raised", builder.constant(0, 32))
    _control(builder, LOAD_CONTROL, "clean")
    cases = " ".join(f"i32 {one.number}, label %{one.symbol}" for one in FLOAT_OPERATIONS)
    builder.emit(f"switch i32 %operation, label %unknown [ {cases} ]")
    arms = [_arm(builder, one) for one in FLOAT_OPERATIONS]
    builder.block("unknown")
    builder.emit("unreachable")
    builder.block("done")
    results = ", ".join(f"[ {result}, %{label} ]" for label, result, _ in arms)
    result = builder.assign("result", f"phi i64 {results}")
    invalids = ", ".join(f"[ {invalid}, %{label} ]" for label, _, invalid in arms)
    invalid = builder.value("invalid", f"phi i1 {invalids}", 1)
    _collect_flags(builder)
    exceptions = exceptions_of_control(builder, _load_work(builder, "raised"))
    invalid_bit = invalid.select(exceptions.lift(int(FloatException.INVALID)), exceptions.lift(0))
    first = builder.assign("pair", f"insertvalue {{ i64, i64 }} poison, i64 {result}, 0")
    both = builder.assign(
        "pair", f"insertvalue {{ i64, i64 }} {first}, {(exceptions | invalid_bit).typed()}, 1"
    )
    builder.emit(f"ret {{ i64, i64 }} {both}")
    body = "\n".join(builder.lines)
    parameters = "ptr %state, i32 %operation, i64 %a, i64 %b, i64 %c"
    return f"define {{ i64, i64 }} @float_exact({parameters}) nounwind noinline strictfp {{\n{body}\n}}\n"


def _arm(builder: FunctionBuilder, operation: FloatOperation) -> tuple[str, str, str]:
    """One case of the switch: the block it ends in, its result (i64) and whether it was invalid (i1)."""
    builder.block(operation.symbol)
    width = FORMAT_WIDTH[operation.source]
    operands = [IrValue(builder, f"%{name}", 64).trunc(width) for name in "abc"[: operation.arity]]
    emit = {"arithmetic": _arithmetic, "compare": _compare, "convert": _convert}[operation.group]
    result, invalid = emit(builder, operation, operands)
    text = result.zext(64).name, invalid.name
    builder.emit("br label %done")
    return operation.symbol, *text


def _arithmetic(
    builder: FunctionBuilder, operation: FloatOperation, operands: list[IrValue]
) -> tuple[IrValue, IrValue]:
    kind = operation.source
    names = [operand.as_float() for operand in operands]
    result = _ExactSteps(builder).arithmetic(operation.name, kind, *names)
    return settled_nan(builder, operation, result, operands)


def _compare(
    builder: FunctionBuilder, operation: FloatOperation, operands: list[IrValue]
) -> tuple[IrValue, IrValue]:
    kind = operation.source
    a, b = operands
    names = a.as_float(), b.as_float()
    is_unordered = IrValue(builder, unordered(builder, kind, *names), 1)
    equal = IrValue(builder, relation(builder, EQUAL, kind, *names), 1)
    less = IrValue(builder, relation(builder, LESS, kind, *names), 1)
    none = builder.constant(0, 64)
    result = is_unordered.select(none.lift(UNORDERED), none)
    result = equal.select(none.lift(EQUAL), result)
    result = less.select(none.lift(LESS), result)
    if operation.name == "signal":
        return result, is_unordered
    return result, is_signalling(kind, a) | is_signalling(kind, b)


def _convert(
    builder: FunctionBuilder, operation: FloatOperation, operands: list[IrValue]
) -> tuple[IrValue, IrValue]:
    to, source = operation.result, operation.source
    (operand,) = operands
    if to in INTEGER_WIDTH:
        return _to_integer(builder, operation, operand)
    name = operand.as_float() if source in FLOAT_FORMATS else operand.name
    if (to, source) in _EXACT_CONVERSIONS:
        result = to_floating(builder, to, source, name)
    else:
        call = f"call {LLVM_TYPE[to]} @float_step_cvt_{to}_{source}({LLVM_TYPE[source]} {name}, ptr %work)"
        result = builder.assign("converted", call)
    if source in INTEGER_WIDTH:
        return IrValue.from_float(builder, result, FORMAT_WIDTH[to]), builder.constant(0, 1)
    return settled_nan(builder, operation, result, operands)


def _to_integer(
    builder: FunctionBuilder, operation: FloatOperation, operand: IrValue
) -> tuple[IrValue, IrValue]:
    to, source = operation.result, operation.source
    assert operation.name in CONVERT_ROUNDING
    lowest = -1 << (INTEGER_WIDTH[to] - 1)
    integral = to_integral(builder, operation.name, source, operand.as_float())
    integer = IrValue(builder, truncate(builder, to, source, integral), INTEGER_WIDTH[to])
    is_lowest = IrValue(builder, relation(builder, EQUAL, source, integral, floating_literal(lowest)), 1)
    invalid = integer.eq(lowest) & (is_lowest ^ 1)
    is_integer = IrValue(builder, relation(builder, EQUAL, source, integral, operand.as_float()), 1)
    inexact = (is_integer | invalid) ^ 1
    flag = builder.constant(CONTROL_FLAGS[FloatException.INEXACT], 32)
    _raise(builder, inexact.select(flag, flag.lift(0)))
    return invalid.select(integer.lift(~lowest), integer), invalid
