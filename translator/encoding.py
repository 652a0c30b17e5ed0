"""Instruction encodings: patterns in the notation of the MIPS manual, and the table of all instructions.

A pattern is 32 bits written as groups of binary digits and field names, most significant first:

    @instruction("addu", "000000 rs rt rd 00000 100001")

`@instruction` registers the function below it as the semantics of the mnemonic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from translator.algebra import Cpu

Semantics = Callable[[Cpu, Any], None]

FIELD_WIDTH: Final = {
    # register numbers
    **dict.fromkeys(("rs", "rt", "rd", "base", "fs", "ft", "fd", "fr"), 5),
    # small numbers
    **dict.fromkeys(("sa", "lsb", "msb", "size", "hint", "op", "stype"), 5),
    "cc": 3,
    "sel": 3,
    # immediates
    "imm": 16,
    "uimm": 16,
    "offset": 16,
    "index": 26,
    "code10": 10,
    "code20": 20,
}
SIGNED_FIELDS: Final = frozenset({"imm", "offset"})


class Flow(Enum):
    """How an instruction directs control."""

    NEXT = "falls through"
    BRANCH = "conditional, relative, with delay slot"
    BRANCH_LIKELY = "conditional, relative, delay slot nullified when not taken"
    JUMP = "to a constant address in the segment"
    JUMP_REGISTER = "to an address in a register"
    EXCEPTION = "always raises an exception"

    @property
    def has_delay_slot(self) -> bool:
        return self in (Flow.BRANCH, Flow.BRANCH_LIKELY, Flow.JUMP, Flow.JUMP_REGISTER)


@dataclass(frozen=True, eq=False)
class Encoding:
    """One instruction of the table: a word is an instance if `word & mask == match`."""

    mnemonic: str
    pattern: str
    mask: int
    match: int
    fields: dict[str, tuple[int, int]]
    """Field name → (shift, width)."""
    flow: Flow
    semantics: Semantics

    def field(self, word: int, name: str) -> int:
        """The value of a field of `word`, sign-extended where the field is signed."""
        shift, width = self.fields[name]
        value = word >> shift & (1 << width) - 1
        if name in SIGNED_FIELDS and value >> (width - 1):
            value -= 1 << width
        return value


ENCODINGS: Final[dict[str, Encoding]] = {}
"""Every instruction by mnemonic, filled by the modules of `translator.isa`."""


def instruction(mnemonic: str, pattern: str, flow: Flow = Flow.NEXT) -> Callable[[Semantics], Semantics]:
    """Register the decorated function as the semantics of `mnemonic`."""

    def register(semantics: Semantics) -> Semantics:
        assert mnemonic not in ENCODINGS, mnemonic
        mask, match, fields = _parse(pattern)
        ENCODINGS[mnemonic] = Encoding(mnemonic, pattern, mask, match, fields, flow, semantics)
        return semantics

    return register


def _parse(pattern: str) -> tuple[int, int, dict[str, tuple[int, int]]]:
    position = 32
    mask = match = 0
    fields: dict[str, tuple[int, int]] = {}
    for group in pattern.split():
        is_digits = set(group) <= {"0", "1"}
        width = len(group) if is_digits else FIELD_WIDTH[group]
        position -= width
        if is_digits:
            mask |= (1 << width) - 1 << position
            match |= int(group, 2) << position
        else:
            fields[group] = (position, width)
    assert position == 0, f"pattern {pattern!r} is not 32 bits"
    return mask, match, fields
