"""The guest state a region keeps in SSA form: one stack slot per register, which SROA turns into values.

A variable stands for a piece of the CPU state. It is loaded when the region is entered, and stored back where the
region is left, if it may have been changed on the way there ("dirty").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from translator.state import OFFSET

_FLOAT_OPERANDS: Final = ("last_fp_operand0", "last_fp_operand1", "last_fp_operand2")


class Variable(NamedTuple):
    """A piece of CPU state and the LLVM type it is held in."""

    name: str
    """Of the stack slot, `%name`."""
    kind: str
    """LLVM type of the stack slot."""
    offset: int
    """In the CPU state."""
    stored: str = ""
    """LLVM type in the CPU state, where that is narrower."""

    @property
    def state_kind(self) -> str:
        return self.stored or self.kind

    @property
    def alignment(self) -> int:
        return 1 if self.stored == "i8" else 4


def gpr(number: int) -> Variable:
    return Variable(f"r{number}", "i32", OFFSET["gpr"] + 4 * number)


def condition_code(number: int) -> Variable:
    return Variable(f"fcc{number}", "i32", OFFSET["fcc"] + number, "i8")


def float_doubleword(index: int) -> Variable:
    """The 64-bit FPU register `index` (of a pair with FR=0: the pair)."""
    return Variable(f"d{index}", "double", OFFSET["fpr"] + 8 * index)


def float_word(index: int) -> Variable:
    """32-bit word `index` of the FPU registers."""
    return Variable(f"f{index}", "float", OFFSET["fpr"] + 4 * index)


def scalar(field: str, width: int) -> Variable:
    """A scalar field of the CPU state. Operands of the last FPU operation are kept as they are computed with."""
    return Variable(field, "double" if field in _FLOAT_OPERANDS else f"i{width}", OFFSET[field])
