"""The instruction set: one function per mnemonic, grouped by class, written on the value algebra.

Importing this package fills `translator.encoding.ENCODINGS`.
"""

from translator.isa import (
    alu,
    branch,
    coprocessor0,
    fpu_arithmetic,
    fpu_compare,
    fpu_control,
    fpu_convert,
    fpu_load_store,
    fpu_move,
    hardware_register,
    load_store,
    muldiv,
    shift,
    trap,
)

__all__ = [
    "alu",
    "branch",
    "coprocessor0",
    "fpu_arithmetic",
    "fpu_compare",
    "fpu_control",
    "fpu_convert",
    "fpu_load_store",
    "fpu_move",
    "hardware_register",
    "load_store",
    "muldiv",
    "shift",
    "trap",
]
