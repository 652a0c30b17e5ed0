"""The number formats of the FPU, with MIPS's legacy (pre-2008) encoding of not-a-numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class FloatFormat:
    """An IEEE 754 binary format."""

    width: int
    fraction_bits: int

    @property
    def exponent_bits(self) -> int:
        return self.width - 1 - self.fraction_bits

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @property
    def fraction_mask(self) -> int:
        return (1 << self.fraction_bits) - 1

    @property
    def minimum_normal(self) -> int:
        """Bits of the smallest positive normalised number."""
        return 1 << self.fraction_bits

    @property
    def infinity(self) -> int:
        """Bits of +infinity."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def signalling_bit(self) -> int:
        """Set in a signalling NaN, clear in a quiet one: the reverse of IEEE 754-2008."""
        return 1 << (self.fraction_bits - 1)

    @property
    def default_nan(self) -> int:
        """Bits of the NaN that every operation with a NaN result delivers."""
        return self.infinity | (self.signalling_bit - 1)

    @property
    def one(self) -> int:
        """Bits of 1.0."""
        return self.bias << self.fraction_bits


SINGLE: Final = FloatFormat(32, 23)
DOUBLE: Final = FloatFormat(64, 52)

FLOAT_FORMATS: Final = {"s": SINGLE, "d": DOUBLE}
INTEGER_WIDTH: Final = {"w": 32, "l": 64}
FORMAT_WIDTH: Final = {"s": 32, "d": 64, **INTEGER_WIDTH}
