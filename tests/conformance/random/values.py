"""Random operands that favour the edges, where the bugs are."""

from __future__ import annotations

import random

from tests.conformance.machine import Registers
from translator.fcsr import CAUSE_SHIFT, ENABLES_SHIFT

_INTEGER_EDGES = (
    0, 1, 2, 3, 4, 5, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFE,
    0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_0000, 0xFFFF_7FFF, 0xFFFF_8000, 0xFFFF_FFFE, 0xFFFF_FFFF,
)  # fmt: skip
_SINGLE_EDGES = (
    0, 1, 0x007F_FFFF, 0x0080_0000, 0x3F7F_FFFF, 0x3F80_0000, 0x3F80_0001, 0x3FC0_0000, 0x4000_0000,
    0x4B00_0000, 0x4B80_0000, 0x4EFF_FFFF, 0x4F00_0000, 0x5F00_0000, 0x7F7F_FFFF, 0x7F80_0000, 0x7F80_0001,
    0x7FBF_FFFF, 0x7FC0_0000, 0x7FFF_FFFF,
)  # fmt: skip
_DOUBLE_EDGES = (
    0, 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000,
    0x3FF0_0000_0000_0001, 0x3FF8_0000_0000_0000, 0x4000_0000_0000_0000, 0x41DF_FFFF_FFC0_0000,
    0x41E0_0000_0000_0000, 0x4330_0000_0000_0000, 0x43E0_0000_0000_0000, 0x36A0_0000_0000_0000,
    0x47EF_FFFF_E000_0000, 0x47F0_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000,
    0x7FF0_0000_0000_0001, 0x7FF7_FFFF_FFFF_FFFF, 0x7FF8_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF,
)  # fmt: skip


def integer(source: random.Random) -> int:
    """A 32-bit number."""
    kind = source.random()
    if kind < 0.4:
        return source.choice(_INTEGER_EDGES)
    if kind < 0.6:
        return (1 << source.randrange(32)) + source.randrange(-1, 2) & 0xFFFF_FFFF
    return source.getrandbits(32)


def single(source: random.Random) -> int:
    """The bits of a float: an edge, a small number (sums and quotients are often exact), or anything."""
    return _number(source, _SINGLE_EDGES, 32, 23, 127)


def double(source: random.Random) -> int:
    """The bits of a double, likewise."""
    return _number(source, _DOUBLE_EDGES, 64, 52, 1023)


def _number(source: random.Random, edges: tuple[int, ...], width: int, fraction: int, bias: int) -> int:
    sign = source.getrandbits(1) << (width - 1)
    kind = source.random()
    if kind < 0.3:
        return sign | source.choice(edges)
    if kind < 0.6:
        exponent = bias + source.randrange(-3, 4)
        return sign | exponent << fraction | source.getrandbits(3) << (fraction - 3)
    if kind < 0.8:
        exponent = bias + source.randrange(-40, 41)
        return sign | exponent << fraction | source.getrandbits(fraction)
    return source.getrandbits(width)


def fcsr(source: random.Random) -> int:
    """FCSR with any rounding mode, condition codes and flags; sometimes flushing, sometimes with enables."""
    value = source.getrandbits(2) | source.getrandbits(5) << 2 | source.getrandbits(8) << 24 & 0xFE00_0000
    value |= source.getrandbits(1) << 23 | (source.random() < 0.1) << 24
    enables = source.getrandbits(5) if source.random() < 0.15 else 0
    cause = source.getrandbits(5) & ~enables
    return value | enables << ENABLES_SHIFT | cause << CAUSE_SHIFT


def registers(source: random.Random, wide_fpu: bool) -> Registers:
    """A random state."""
    if wide_fpu:
        fpr = [double(source) if source.getrandbits(1) else _two_words(source) for _ in range(32)]
    else:
        fpr = []
        for _ in range(16):
            pair = double(source) if source.getrandbits(1) else _two_words(source)
            fpr += [pair & 0xFFFF_FFFF, pair >> 32]
    return Registers(
        gpr=[0] + [integer(source) for _ in range(31)],
        hi=integer(source),
        lo=integer(source),
        fpr=fpr,
        fcsr=fcsr(source),
    )


def _two_words(source: random.Random) -> int:
    return single(source) | (single(source) if source.getrandbits(1) else integer(source)) << 32
