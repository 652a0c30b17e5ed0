"""Values on Python integers: the arithmetic of the reference engine.

A number is always kept in its canonical, unsigned form, 0 … 2**width - 1.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final, Self

from translator.algebra import Value


def signed(number: int, width: int) -> int:
    """The two's complement reading of the low `width` bits of `number`."""
    half = 1 << (width - 1)
    return ((number & (1 << width) - 1) ^ half) - half


def _rotate_right(a: int, b: int, width: int) -> int:
    return a >> b | a << (width - b)


def _divide_signed(a: int, b: int, width: int) -> int:
    dividend, divisor = signed(a, width), signed(b, width)
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _remainder_signed(a: int, b: int, width: int) -> int:
    """Takes the sign of the dividend, as division truncates towards zero."""
    remainder = abs(signed(a, width)) % abs(signed(b, width))
    return remainder if signed(a, width) >= 0 else -remainder


_BINARY: Final[dict[str, Callable[[int, int, int], int]]] = {
    "add": lambda a, b, width: a + b,
    "sub": lambda a, b, width: a - b,
    "mul": lambda a, b, width: a * b,
    "and": lambda a, b, width: a & b,
    "or": lambda a, b, width: a | b,
    "xor": lambda a, b, width: a ^ b,
    "shl": lambda a, b, width: a << b,
    "lshr": lambda a, b, width: a >> b,
    "ashr": lambda a, b, width: signed(a, width) >> b,
    "rotr": _rotate_right,
    "udiv": lambda a, b, width: a // b,
    "urem": lambda a, b, width: a % b,
    "sdiv": _divide_signed,
    "srem": _remainder_signed,
}
_SHIFTS: Final = frozenset({"shl", "lshr", "ashr", "rotr"})
_UNSIGNED_RELATIONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "ult": operator.lt,
    "ule": operator.le,
}
_SIGNED_RELATIONS: Final[dict[str, Callable[[int, int], bool]]] = {"slt": operator.lt, "sle": operator.le}


class IntegerValue(Value):
    """A bit vector whose bits are known: `number`, unsigned."""

    __slots__ = ("number",)
    number: int

    def __init__(self, number: int, width: int) -> None:
        self.number = number & (1 << width) - 1
        self.width = width

    def __repr__(self) -> str:
        return f"IntegerValue({self.number:#x}, {self.width})"

    def __bool__(self) -> bool:
        """Only to catch mistakes: semantics must choose with `select`, which every engine understands."""
        raise TypeError("a Value has no truth value; use select()")

    @property
    def signed(self) -> int:
        """The number read as two's complement."""
        return signed(self.number, self.width)

    def constant(self, number: int, width: int) -> Self:
        return type(self)(number, width)

    def binary(self, operation: str, other: Self) -> Self:
        width = self.width
        assert operation not in _SHIFTS or other.number < width, (
            f"{operation} of {width} bits by {other.number}"
        )
        return type(self)(_BINARY[operation](self.number, other.number, width), width)

    def compare(self, relation: str, other: Self) -> Self:
        if relation in _UNSIGNED_RELATIONS:
            return type(self)(_UNSIGNED_RELATIONS[relation](self.number, other.number), 1)
        return type(self)(_SIGNED_RELATIONS[relation](self.signed, other.signed), 1)

    def unary(self, operation: str) -> Self:
        if operation == "ctlz":
            return type(self)(self.width - self.number.bit_length(), self.width)
        assert operation == "bswap", operation
        size = self.width // 8
        return type(self)(int.from_bytes(self.number.to_bytes(size, "little"), "big"), self.width)

    def resize(self, kind: str, width: int) -> Self:
        assert (width < self.width) == (kind == "trunc"), f"{kind} from {self.width} to {width} bits"
        return type(self)(self.signed if kind == "sext" else self.number, width)

    def select(self, if_true: Self, if_false: Self) -> Self:
        assert self.width == 1 and if_true.width == if_false.width
        return if_true if self.number else if_false
