"""Layout of FCSR, the FPU control and status register, and of its partial views (MIPS32 vol. I-A, 5.6)."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class FloatException(IntFlag):
    """The exception bits in the order in which Flags, Enables and Cause hold them."""

    INEXACT = 1
    UNDERFLOW = 2
    OVERFLOW = 4
    DIVIDE_BY_ZERO = 8
    INVALID = 16
    UNIMPLEMENTED = 32
    """Only in Cause; always enabled."""


class Rounding(IntEnum):
    """FCSR.RM."""

    NEAREST = 0
    """To nearest, ties to even."""
    TOWARD_ZERO = 1
    UP = 2
    DOWN = 3


ROUNDING_MASK: Final = 0x3
FLAGS_SHIFT: Final = 2
FLAGS_MASK: Final = 0x1F << FLAGS_SHIFT
ENABLES_SHIFT: Final = 7
ENABLES_MASK: Final = 0x1F << ENABLES_SHIFT
CAUSE_SHIFT: Final = 12
CAUSE_MASK: Final = 0x3F << CAUSE_SHIFT
FLUSH_BIT: Final = 24
"""FS: results too small for a normalised number become zero."""
CONDITION_BITS: Final = (23, 25, 26, 27, 28, 29, 30, 31)
"""Where each of the eight condition codes stands."""
CONDITIONS_MASK: Final = sum(1 << bit for bit in CONDITION_BITS)
WRITABLE_MASK: Final = 0xFF83_FFFF
"""QEMU's 24Kf: the NAN2008, ABS2008 and MAC2008 bits are fixed to 0."""
CHECKED_MASK: Final = ENABLES_MASK | 1 << FLUSH_BIT
"""If one of these bits is set, host arithmetic is not enough: every operation must be computed exactly."""

FEXR_MASK: Final = CAUSE_MASK | FLAGS_MASK
FENR_MASK: Final = ENABLES_MASK | ROUNDING_MASK
FENR_FLUSH_BIT: Final = 2
"""Where FENR shows FS; Enables and RM stand as in FCSR."""

FIR_24KF: Final = 0x0073_9300
"""The implementation register: S, D, W, L formats, 64-bit registers, processor 0x93."""
