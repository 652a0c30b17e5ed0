"""When MIPS calls an operation invalid, given that its result is not a number; on the value algebra."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from translator.fcsr import FLAGS_SHIFT, FloatException
from translator.float_expressions import unordered
from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH
from translator.float_operations import FloatOperation
from translator.ir import FunctionBuilder, IrValue
from translator.state import OFFSET

_INVALID_FLAG = FloatException.INVALID << FLAGS_SHIFT


def _magnitude(kind: str, bits: IrValue) -> IrValue:
    return bits & (FLOAT_FORMATS[kind].sign_bit - 1)


def is_signalling(kind: str, bits: IrValue) -> IrValue:
    """Whether the operand is a signalling NaN in MIPS's legacy encoding."""
    lowest = FLOAT_FORMATS[kind].infinity | FLOAT_FORMATS[kind].signalling_bit
    return bits.constant(lowest, bits.width).le_unsigned(_magnitude(kind, bits))


def is_nan(kind: str, bits: IrValue) -> IrValue:
    """Whether the operand is a NaN."""
    return bits.constant(FLOAT_FORMATS[kind].infinity, bits.width).lt_unsigned(_magnitude(kind, bits))


def _is_infinity_times_zero(kind: str, a: IrValue, b: IrValue) -> IrValue:
    infinity = FLOAT_FORMATS[kind].infinity
    return _magnitude(kind, a).eq(infinity) & _magnitude(kind, b).eq(0)


def is_invalid(kind: str, operands: Sequence[IrValue]) -> IrValue:
    """Whether an operation whose result is a NaN was invalid: not if it only passed on a quiet NaN.

    With three operands (a × b ± c) a product that has no answer counts even if c is a quiet NaN.
    """
    signalling = reduce(or_, (is_signalling(kind, operand) for operand in operands))
    any_nan = reduce(or_, (is_nan(kind, operand) for operand in operands))
    invalid = signalling | (any_nan ^ 1)
    if len(operands) == 3:
        a, b, _ = operands
        invalid = invalid | _is_infinity_times_zero(kind, a, b) | _is_infinity_times_zero(kind, b, a)
    return invalid


def note_invalid(builder: FunctionBuilder, condition: IrValue) -> None:
    """Set the sticky flag *invalid* of FCSR if `condition`."""
    pointer = builder.assign("at", f"getelementptr i8, ptr %state, i64 {OFFSET['fcsr']}")
    fcsr = builder.value("fcsr", f"load i32, ptr {pointer}", 32)
    builder.emit(
        f"store {(fcsr | condition.select(fcsr.lift(_INVALID_FLAG), fcsr.lift(0))).typed()}, ptr {pointer}"
    )


def settled_nan(
    builder: FunctionBuilder, operation: FloatOperation, result: str, operands: Sequence[IrValue]
) -> tuple[IrValue, IrValue]:
    """The result of the host with MIPS's NaN instead of the host's, and whether the operation was invalid."""
    kind = operation.result
    is_nan = IrValue(builder, unordered(builder, kind, result, result), 1)
    bits = IrValue.from_float(builder, result, FORMAT_WIDTH[kind])
    nan = bits.constant(operation.nan, bits.width)
    return is_nan.select(nan, bits), is_nan & is_invalid(operation.source, operands)
