"""When MIPS calls an operation invalid, given that its result is not a number; on the value algebra."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from translator.float_format import FLOAT_FORMATS
from translator.ir import IrValue


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
