"""Exact FPU arithmetic on Python integers: the reference, and the oracle of the native lowering.

Results, exceptions and NaNs are those of QEMU 7.2's 24Kf, which follows IEEE 754 with tininess detected after
rounding, and delivers the format's default NaN whenever a result is not a number.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Final, NamedTuple

from translator.fcsr import FloatException, Rounding
from translator.float_format import FLOAT_FORMATS, INTEGER_WIDTH, FloatFormat
from translator.float_operations import CONVERT_ROUNDING, EQUAL, LESS, UNORDERED, FloatOperation
from translator.integers import signed
from translator.softfloat_rounding import Environment, Unpacked, round_to_format, round_to_integer, unpack

NO_EXCEPTION = FloatException(0)


class Evaluation(NamedTuple):
    """What an operation delivers: bits of the result (a comparison: the relation), and its exceptions."""

    result: int
    exceptions: FloatException


def evaluate(operation: FloatOperation, operands: tuple[int, ...], environment: Environment) -> Evaluation:
    """Carry out `operation` on the bits `operands` (as many as its arity says)."""
    if operation.group == "compare":
        return _compare(operation, *operands)
    if operation.group == "convert":
        return _convert(operation, operands[0], environment)
    return _arithmetic(operation.name, FLOAT_FORMATS[operation.source], environment, operands)


def _arithmetic(name: str, kind: FloatFormat, at: Environment, operands: tuple[int, ...]) -> Evaluation:
    if name in _SIMPLE:
        return _SIMPLE[name](kind, at, *operands)
    if name == "recip":
        return _divide(kind, at, kind.one, *operands)
    if name == "rsqrt":
        root = _square_root(kind, at, *operands)
        inverse = _divide(kind, at, kind.one, root.result)
        return Evaluation(inverse.result, root.exceptions | inverse.exceptions)
    return _multiply_add(name, kind, at, *operands)


def _multiply_add(name: str, kind: FloatFormat, at: Environment, a: int, b: int, c: int) -> Evaluation:
    """madd, msub, nmadd, nmsub: product and sum are rounded separately; n… flips even a NaN's sign."""
    product = _multiply(kind, at, a, b)
    combine = _subtract if name.endswith("sub") else _add
    total = combine(kind, at, product.result, c)
    flip = kind.sign_bit if name.startswith("n") else 0
    return Evaluation(total.result ^ flip, product.exceptions | total.exceptions)


def _not_a_number(kind: FloatFormat, *operands: Unpacked) -> Evaluation:
    """The result if an operand is a NaN, or if the operation has no answer for numbers like these."""
    quiet = any(one.is_nan for one in operands) and not any(one.is_signalling for one in operands)
    return Evaluation(kind.default_nan, NO_EXCEPTION if quiet else FloatException.INVALID)


def _add(kind: FloatFormat, at: Environment, a: int, b: int) -> Evaluation:
    x, y = unpack(a, kind), unpack(b, kind)
    if x.is_nan or y.is_nan or (x.is_infinite and y.is_infinite and x.sign != y.sign):
        return _not_a_number(kind, x, y)
    if x.is_infinite or y.is_infinite:
        return Evaluation(a if x.is_infinite else b, NO_EXCEPTION)
    exponent = min(x.exponent, y.exponent)
    total = x.integer_at(exponent) + y.integer_at(exponent)
    if total == 0:
        if x.sign == y.sign:
            negative = x.sign
        else:
            negative = at.rounding is Rounding.DOWN
        return Evaluation(kind.sign_bit if negative else 0, NO_EXCEPTION)
    return Evaluation(*round_to_format(kind, total < 0, abs(total), exponent, False, at))


def _subtract(kind: FloatFormat, at: Environment, a: int, b: int) -> Evaluation:
    return _add(kind, at, a, b ^ kind.sign_bit)


def _multiply(kind: FloatFormat, at: Environment, a: int, b: int) -> Evaluation:
    x, y = unpack(a, kind), unpack(b, kind)
    zero_by_infinity = (x.is_infinite and y.is_zero) or (x.is_zero and y.is_infinite)
    if x.is_nan or y.is_nan or zero_by_infinity:
        return _not_a_number(kind, x, y)
    sign = kind.sign_bit if x.sign != y.sign else 0
    if x.is_infinite or y.is_infinite:
        return Evaluation(sign | kind.infinity, NO_EXCEPTION)
    if x.is_zero or y.is_zero:
        return Evaluation(sign, NO_EXCEPTION)
    product = x.significand * y.significand
    return Evaluation(*round_to_format(kind, bool(sign), product, x.exponent + y.exponent, False, at))


def _divide(kind: FloatFormat, at: Environment, a: int, b: int) -> Evaluation:
    x, y = unpack(a, kind), unpack(b, kind)
    if x.is_nan or y.is_nan or (x.is_infinite and y.is_infinite) or (x.is_zero and y.is_zero):
        return _not_a_number(kind, x, y)
    sign = kind.sign_bit if x.sign != y.sign else 0
    if x.is_infinite:
        return Evaluation(sign | kind.infinity, NO_EXCEPTION)
    if y.is_zero:
        return Evaluation(sign | kind.infinity, FloatException.DIVIDE_BY_ZERO)
    if x.is_zero or y.is_infinite:
        return Evaluation(sign, NO_EXCEPTION)
    shift = max(0, kind.fraction_bits + 3 + y.significand.bit_length() - x.significand.bit_length())
    quotient, remainder = divmod(x.significand << shift, y.significand)
    exponent = x.exponent - y.exponent - shift
    return Evaluation(*round_to_format(kind, bool(sign), quotient, exponent, remainder != 0, at))


def _square_root(kind: FloatFormat, at: Environment, a: int) -> Evaluation:
    x = unpack(a, kind)
    if x.is_zero:
        return Evaluation(a, NO_EXCEPTION)
    if x.is_nan or x.sign:
        return _not_a_number(kind, x)
    if x.is_infinite:
        return Evaluation(a, NO_EXCEPTION)
    shift = 2 * (kind.fraction_bits + 3)
    if (x.exponent - shift) % 2:
        shift += 1
    radicand = x.significand << shift
    root = isqrt(radicand)
    return Evaluation(
        *round_to_format(kind, False, root, (x.exponent - shift) // 2, root * root != radicand, at)
    )


_SIMPLE: Final[dict[str, Callable[..., Evaluation]]] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": _divide,
    "sqrt": _square_root,
}


def _compare(operation: FloatOperation, a: int, b: int) -> Evaluation:
    kind = FLOAT_FORMATS[operation.source]
    x, y = unpack(a, kind), unpack(b, kind)
    if x.is_nan or y.is_nan:
        signals = operation.name == "signal" or x.is_signalling or y.is_signalling
        return Evaluation(UNORDERED, FloatException.INVALID if signals else NO_EXCEPTION)
    # Sign-magnitude bits, infinity included, are ordered like the numbers.
    left, right = (one.magnitude_bits * (-1 if one.sign else 1) for one in (x, y))
    relation = EQUAL if left == right else LESS if left < right else 0
    return Evaluation(relation, NO_EXCEPTION)


def _convert(operation: FloatOperation, operand: int, at: Environment) -> Evaluation:
    if operation.result in INTEGER_WIDTH:
        return _to_integer(operation, operand, at)
    kind = FLOAT_FORMATS[operation.result]
    if operation.source in INTEGER_WIDTH:
        number = signed(operand, INTEGER_WIDTH[operation.source])
        if number == 0:
            return Evaluation(0, NO_EXCEPTION)
        return Evaluation(*round_to_format(kind, number < 0, abs(number), 0, False, at))
    x = unpack(operand, FLOAT_FORMATS[operation.source])
    if x.is_nan:
        return _not_a_number(kind, x)
    sign = kind.sign_bit if x.sign else 0
    if x.is_infinite or x.is_zero:
        return Evaluation(sign | (kind.infinity if x.is_infinite else 0), NO_EXCEPTION)
    return Evaluation(*round_to_format(kind, bool(x.sign), x.significand, x.exponent, False, at))


def _to_integer(operation: FloatOperation, operand: int, at: Environment) -> Evaluation:
    """What does not fit, NaNs included, becomes the largest positive integer."""
    width = INTEGER_WIDTH[operation.result]
    half = 1 << (width - 1)
    unrepresentable = Evaluation(half - 1, FloatException.INVALID)
    x = unpack(operand, FLOAT_FORMATS[operation.source])
    if x.is_nan or x.is_infinite:
        return unrepresentable
    rounding = CONVERT_ROUNDING[operation.name]
    number, inexact = round_to_integer(x, at.rounding if rounding is None else rounding)
    if not -half <= number < half:
        return unrepresentable
    return Evaluation(number & (1 << width) - 1, FloatException.INEXACT if inexact else NO_EXCEPTION)
