"""The algebra on Python integers against definitions that do not share its code: ctypes and strings."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.integers import IntegerValue, signed

SIGNED_TYPE = {8: ctypes.c_int8, 16: ctypes.c_int16, 32: ctypes.c_int32, 64: ctypes.c_int64}
WIDTHS = st.sampled_from(sorted(SIGNED_TYPE))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[IntegerValue, IntegerValue]:
    """Two values of the same width, often edges: 0, 1, the extremes, all ones."""
    width = draw(WIDTHS)
    edges = [0, 1, 2, (1 << width) - 1, 1 << (width - 1), (1 << (width - 1)) - 1]
    numbers = st.one_of(st.sampled_from(edges), st.integers(0, (1 << width) - 1))
    return IntegerValue(draw(numbers), width), IntegerValue(draw(numbers), width)


def as_signed(value: IntegerValue) -> int:
    return SIGNED_TYPE[value.width](value.number).value


def bits(value: IntegerValue) -> str:
    return format(value.number, f"0{value.width}b")


@given(pairs())
def test_wrapping_arithmetic(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, b = pair
    wrap = SIGNED_TYPE[a.width]
    assert as_signed(a + b) == wrap(a.number + b.number).value
    assert as_signed(a - b) == wrap(a.number - b.number).value
    assert as_signed(a * b) == wrap(a.number * b.number).value
    assert ((a - b) + b).number == a.number
    assert (~a).number == (-1 - a.number) % (1 << a.width)


@given(pairs())
def test_bitwise(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, b = pair
    for x, y, both, either, one in zip(bits(a), bits(b), bits(a & b), bits(a | b), bits(a ^ b), strict=True):
        assert (both, either, one) == (min(x, y), max(x, y), "01"[x != y])


@given(pairs(), st.integers(0, 63))
def test_shifts(pair: tuple[IntegerValue, IntegerValue], amount: int) -> None:
    a, _ = pair
    amount %= a.width
    text = bits(a)
    assert bits(a << amount) == (text + "0" * amount)[amount:]
    assert bits(a.shift_right(amount)) == ("0" * amount + text)[: a.width]
    assert bits(a.shift_right_signed(amount)) == (text[0] * amount + text)[: a.width]
    assert bits(a.rotate_right(amount)) == (text + text)[a.width - amount :][: a.width]
    assert bits(a.shift_right(IntegerValue(amount, a.width))) == bits(a.shift_right(amount))


@given(pairs())
def test_division(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, b = pair
    if b.number == 0:
        b = IntegerValue(1, b.width)
    assert (a.divide_unsigned(b).number, a.remainder_unsigned(b).number) == divmod(a.number, b.number)
    if as_signed(b) == -1 and as_signed(a) == -(1 << (a.width - 1)):
        return
    quotient, remainder = as_signed(a.divide_signed(b)), as_signed(a.remainder_signed(b))
    assert quotient * as_signed(b) + remainder == as_signed(a)
    assert abs(remainder) < abs(as_signed(b))
    assert remainder == 0 or (remainder < 0) == (as_signed(a) < 0)


@given(pairs())
def test_comparisons(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, b = pair
    outcomes = {
        a.eq(b): a.number == b.number,
        a.ne(b): a.number != b.number,
        a.lt_unsigned(b): a.number < b.number,
        a.le_unsigned(b): a.number <= b.number,
        a.lt_signed(b): as_signed(a) < as_signed(b),
        a.le_signed(b): as_signed(a) <= as_signed(b),
    }
    for outcome, expected in outcomes.items():
        assert (outcome.number, outcome.width) == (int(expected), 1)
    assert a.lt_unsigned(b).select(a, b).number == min(a.number, b.number)


@given(pairs())
def test_resizing(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, _ = pair
    wide = 2 * a.width
    assert (a.zext(wide).number, a.zext(wide).width) == (a.number, wide)
    assert bits(a.sext(wide)) == bits(a)[0] * a.width + bits(a)
    assert a.sext(wide).trunc(a.width).number == a.number
    assert bits(a.bits(2, 3)) == bits(a)[a.width - 5 : a.width - 2]
    assert a.zext(a.width) is a


@given(pairs())
def test_counting_and_swapping(pair: tuple[IntegerValue, IntegerValue]) -> None:
    a, _ = pair
    assert a.count_leading_zeros().number == len(bits(a)) - len(bits(a).lstrip("0"))
    swapped = bytes.fromhex(format(a.number, f"0{a.width // 4}x"))[::-1]
    assert a.byte_swap().number == int(swapped.hex(), 16)


@given(st.integers(), WIDTHS)
def test_signed_reading(number: int, width: int) -> None:
    assert signed(number, width) == SIGNED_TYPE[width](number).value
    assert IntegerValue(number, width).signed == SIGNED_TYPE[width](number).value


def test_mistakes_are_refused() -> None:
    word = IntegerValue(5, 32)
    with pytest.raises(TypeError):
        bool(word)
    with pytest.raises(AssertionError):
        word << 32
    with pytest.raises(AssertionError):
        word + IntegerValue(1, 64)
    with pytest.raises(AssertionError):
        word.trunc(64)
    with pytest.raises(AssertionError):
        word.select(word, word)
