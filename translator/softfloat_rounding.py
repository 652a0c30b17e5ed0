"""Taking floating-point numbers apart, and rounding exact values to a format."""

from __future__ import annotations

from dataclasses import dataclass

from translator.fcsr import FloatException, Rounding
from translator.float_format import FloatFormat


@dataclass(frozen=True, slots=True)
class Environment:
    """What FCSR says about how to compute."""

    rounding: Rounding
    flush: bool = False
    """FS: a result that is tiny before rounding becomes a zero of its sign, without any exception (QEMU)."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A number: ± significand × 2 ** exponent; or an infinity, or a NaN."""

    sign: int
    significand: int
    exponent: int
    magnitude_bits: int
    """The bits without the sign."""
    is_infinite: bool
    is_nan: bool
    is_signalling: bool

    @property
    def is_zero(self) -> bool:
        return self.significand == 0 and not self.is_infinite and not self.is_nan

    def integer_at(self, exponent: int) -> int:
        """The signed significand for a smaller exponent."""
        magnitude = self.significand << (self.exponent - exponent)
        return -magnitude if self.sign else magnitude


def unpack(bits: int, kind: FloatFormat) -> Unpacked:
    """The number that `bits` encode."""
    magnitude = bits & (kind.sign_bit - 1)
    is_nan = magnitude > kind.infinity
    fraction = magnitude & kind.fraction_mask
    field = magnitude >> kind.fraction_bits
    return Unpacked(
        sign=bits >> (kind.width - 1),
        significand=fraction | (kind.minimum_normal if field else 0),
        exponent=max(field, 1) - kind.bias - kind.fraction_bits,
        magnitude_bits=magnitude,
        is_infinite=magnitude == kind.infinity,
        is_nan=is_nan,
        is_signalling=is_nan and bool(bits & kind.signalling_bit),
    )


def _shift_and_round(
    significand: int, shift: int, sticky: bool, negative: bool, rounding: Rounding
) -> tuple[int, bool]:
    """significand / 2 ** shift (a little more if `sticky`) rounded; whether that is inexact."""
    if shift <= 0:
        assert not sticky
        return significand << -shift, False
    quotient = significand >> shift
    # Twice the remainder's distance from a half, so that a sticky bit breaks the tie.
    remainder = 2 * (significand & (1 << shift) - 1) + sticky
    if remainder == 0:
        return quotient, False
    half = 1 << shift
    if rounding is Rounding.NEAREST:
        up = remainder > half or (remainder == half and quotient & 1 == 1)
    else:
        up = rounding is (Rounding.DOWN if negative else Rounding.UP)
    return quotient + up, True


def round_to_format(
    kind: FloatFormat, negative: bool, significand: int, exponent: int, sticky: bool, at: Environment
) -> tuple[int, FloatException]:
    """Bits of the value ± significand × 2 ** exponent in the format `kind`, and the exceptions of rounding.

    `significand` is not 0. `sticky` says that the exact value is larger by less than one unit of it; then it
    must have at least two bits more than the format.
    """
    sign = kind.sign_bit if negative else 0
    lowest = 1 - kind.bias
    leading = exponent + significand.bit_length() - 1
    is_tiny = leading < lowest
    if is_tiny and at.flush:
        return sign, FloatException(0)
    quantum = max(leading, lowest) - kind.fraction_bits
    rounded, inexact = _shift_and_round(significand, quantum - exponent, sticky, negative, at.rounding)
    if is_tiny and leading == lowest - 1:
        finer = quantum - 1
        unbounded, _ = _shift_and_round(significand, finer - exponent, sticky, negative, at.rounding)
        is_tiny = unbounded < 2 << kind.fraction_bits
    exceptions = FloatException.INEXACT if inexact else FloatException(0)
    if is_tiny and inexact:
        exceptions |= FloatException.UNDERFLOW
    # A carry out of the fraction makes the sum below step the exponent field, as it should.
    field = quantum + kind.fraction_bits + kind.bias - 1
    bits = (field << kind.fraction_bits) + rounded
    if bits >= kind.infinity:
        to_infinity = at.rounding in (Rounding.NEAREST, Rounding.DOWN if negative else Rounding.UP)
        exceptions = FloatException.OVERFLOW | FloatException.INEXACT
        bits = kind.infinity if to_infinity else kind.infinity - 1
    return sign | bits, exceptions


def round_to_integer(number: Unpacked, rounding: Rounding) -> tuple[int, bool]:
    """A finite number rounded to an integer, and whether that is inexact."""
    magnitude, inexact = _shift_and_round(
        number.significand, -number.exponent, False, bool(number.sign), rounding
    )
    return (-magnitude if number.sign else magnitude), inexact
