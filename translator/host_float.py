"""The host's floating-point control register, as x86-64 has it: MXCSR (Intel SDM vol. 1, 10.2.3).

While native code runs, its rounding mode is the guest's and its sticky flags are part of the guest's. All
that knows the layout stands here.
"""

from __future__ import annotations

from typing import Final

from translator.fcsr import FloatException, Rounding

CONTROL_DEFAULT: Final = 0x1F80
"""Every exception masked, round to nearest, no flag set, denormals as IEEE 754 wants them."""
CONTROL_ROUNDING: Final = {
    Rounding.NEAREST: 0 << 13,
    Rounding.DOWN: 1 << 13,
    Rounding.UP: 2 << 13,
    Rounding.TOWARD_ZERO: 3 << 13,
}
CONTROL_FLAGS: Final = {
    FloatException.DIVIDE_BY_ZERO: 1 << 2,
    FloatException.OVERFLOW: 1 << 3,
    FloatException.UNDERFLOW: 1 << 4,
    FloatException.INEXACT: 1 << 5,
}
"""Sticky flags that mean the same on host and guest. *Invalid* does not: a quiet NaN of the guest is a
signalling one to the host and the reverse, so generated code finds out by itself."""
FLAGS_SHIFT: Final = 2
"""Where the four flags begin."""


def control_of(rounding: int) -> int:
    """The control register for FCSR.RM = `rounding`, no flag set."""
    return CONTROL_DEFAULT | CONTROL_ROUNDING[Rounding(rounding)]


def exceptions_of(control: int) -> FloatException:
    """The guest's exceptions that the sticky flags of `control` stand for."""
    found = FloatException(0)
    for exception, flag in CONTROL_FLAGS.items():
        if control & flag:
            found |= exception
    return found


LOAD_CONTROL: Final = "llvm.x86.sse.ldmxcsr"
STORE_CONTROL: Final = "llvm.x86.sse.stmxcsr"
"""LLVM intrinsics that load the control register from memory and store it there (one pointer argument)."""

# The two mappings as generated code wants them: packed into one constant, to be shifted to the entry.
ROUNDING_TABLE: Final = sum((CONTROL_ROUNDING[mode] >> 13) << 2 * mode for mode in Rounding)
"""Two bits of rounding control for each FCSR.RM; they belong to bit 13 upward."""
ROUNDING_SHIFT: Final = 13
EXCEPTIONS_TABLE: Final = sum(exceptions_of(flags << FLAGS_SHIFT) << 4 * flags for flags in range(16))
"""Four bits of FloatException for each combination of the four sticky flags."""
