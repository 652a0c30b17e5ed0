"""Exact arithmetic on integers against the host's, where that is known to be the same, and against
fractions."""

from __future__ import annotations

import math
import random
import struct
from fractions import Fraction

import pytest

from tests.translator.fpu.operands import random_operands, special_operands
from translator.fcsr import FloatException, Rounding
from translator.float_format import DOUBLE, SINGLE
from translator.float_operations import arithmetic_operation, convert_operation
from translator.softfloat import Evaluation, evaluate
from translator.softfloat_rounding import Environment, round_to_format

NEAREST = Environment(Rounding.NEAREST)


def number(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


HOST = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "sqrt": math.sqrt,
}


@pytest.mark.parametrize("name", HOST)
def test_double_as_python(name: str, first_seed: int) -> None:
    operation, source = arithmetic_operation(name, "d"), random.Random(first_seed)
    cases = [*special_operands(operation, source, 2000), *random_operands(operation, source, 2000)]
    compared = 0
    for operands in cases:
        try:
            expected = HOST[name](*map(number, operands))
        except (ZeroDivisionError, ValueError):
            continue
        result = evaluate(operation, operands, NEAREST).result
        assert result == (DOUBLE.default_nan if math.isnan(expected) else bits(expected)), operands
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_is_to_the_right_neighbour(rounding: Rounding, first_seed: int) -> None:
    source = random.Random(first_seed)
    for _ in range(3000):
        significand = source.getrandbits(source.randrange(1, 90)) | 1
        exponent = source.randint(-200, 60)
        negative = bool(source.getrandbits(1))
        result, exceptions = round_to_format(
            SINGLE, negative, significand, exponent, False, Environment(rounding)
        )
        exact = Fraction(significand) * Fraction(2) ** exponent * (-1 if negative else 1)
        if exceptions & FloatException.OVERFLOW:
            continue
        candidates = {
            single(result + step) for step in (-1, 0, 1) if (result + step) & 0x7FFF_FFFF < 0x7F80_0000
        }
        chosen = single(result)
        assert (chosen != exact) == bool(exceptions & FloatException.INEXACT)
        if rounding is Rounding.NEAREST:
            assert all(abs(chosen - exact) <= abs(other - exact) for other in candidates)
        elif rounding is Rounding.TOWARD_ZERO:
            assert abs(chosen) <= abs(exact) and all(
                abs(other) > abs(exact) or abs(other) <= abs(chosen) for other in candidates
            )
        elif rounding is Rounding.UP:
            assert chosen >= exact and all(other < exact or other >= chosen for other in candidates)
        else:
            assert chosen <= exact and all(other > exact or other <= chosen for other in candidates)


def single(pattern: int) -> Fraction:
    return Fraction(struct.unpack("<f", struct.pack("<I", pattern & 0xFFFF_FFFF))[0])


def test_default_nan_and_invalid() -> None:
    add, infinity = arithmetic_operation("add", "s"), SINGLE.infinity
    quiet, signalling = 0x7F80_0001, 0x7FC0_0000
    invalid = FloatException.INVALID
    nan = SINGLE.default_nan
    assert nan == 0x7FBF_FFFF
    assert evaluate(add, (infinity, infinity | SINGLE.sign_bit), NEAREST) == Evaluation(nan, invalid)
    assert evaluate(add, (quiet, SINGLE.one), NEAREST) == Evaluation(nan, FloatException(0))
    assert evaluate(add, (quiet, signalling), NEAREST) == Evaluation(nan, invalid)
    nmadd = arithmetic_operation("nmadd", "s")
    assert evaluate(nmadd, (quiet, quiet, quiet), NEAREST).result == nan | SINGLE.sign_bit


def test_flushing_looks_before_rounding() -> None:
    """A result that rounds up to the smallest normalised number is flushed all the same, and raises
    nothing."""
    multiply, flushing = arithmetic_operation("mul", "d"), Environment(Rounding.NEAREST, flush=True)
    just_below = (DOUBLE.one - 1, DOUBLE.minimum_normal)
    assert evaluate(multiply, just_below, NEAREST) == Evaluation(
        DOUBLE.minimum_normal, FloatException.INEXACT | FloatException.UNDERFLOW
    )
    assert evaluate(multiply, just_below, flushing) == Evaluation(0, FloatException(0))


def test_conversion_of_what_does_not_fit() -> None:
    trunc = convert_operation("trunc", "w", "d")
    for value in (2.0**31, -(2.0**31) - 1, math.inf, -math.inf):
        assert evaluate(trunc, (bits(value),), NEAREST) == Evaluation(0x7FFF_FFFF, FloatException.INVALID)
    assert evaluate(trunc, (bits(-(2.0**31) - 0.5),), NEAREST) == Evaluation(
        0x8000_0000, FloatException.INEXACT
    )
