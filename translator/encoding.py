"""Instruction encodings: patterns in the notation of the MIPS manual, and the table of all instructions.

A pattern is 32 bits written as groups of binary digits and field names, most significant first:

    @instruction("addu", "000000 rs rt rd ..... 100001")

A dot is a bit that the manual wants zero but the processor ignores (which these are, QEMU's 24Kf decides).
`@instruction` registers the function below it as the semantics of the mnemonic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, cast

from translator.algebra import Cpu, SystemCpu

Semantics = Callable[[Cpu, Any], None]
PrivilegedSemantics = Callable[[SystemCpu, Any], None]


class BitRange(Enum):
    """The condition that `lsb` and a second field name a range of bits of a word."""

    BY_SIZE = "size"
    """Its size, less one."""
    BY_END = "msb"
    """Its highest bit."""

    def __call__(self, field: Callable[[str], int]) -> bool:
        lsb, second = field("lsb"), field(self.value)
        return lsb + second < 32 if self is BitRange.BY_SIZE else lsb <= second


class Remainder:
    """The condition that fields have none of the values for which there are encodings of their own, defined before."""

    def __init__(self, fields: tuple[str, ...], named: Collection[tuple[int, ...]]) -> None:
        self.fields: Final = fields
        self.named: Final = frozenset(named)

    def __call__(self, field: Callable[[str], int]) -> bool:
        return tuple(map(field, self.fields)) not in self.named


Validity = BitRange | Remainder
"""Given a function from field names to values: whether this combination is an instruction."""

FIELD_WIDTH: Final = {
    # register numbers
    **dict.fromkeys(("rs", "rt", "rd", "base", "fs", "ft", "fd", "fr"), 5),
    # small numbers
    **dict.fromkeys(("sa", "lsb", "msb", "size", "hint", "op", "stype", "control"), 5),
    "operation": 4,
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
    """One instruction of the table."""

    mnemonic: str
    pattern: str
    mask: int
    match: int
    fields: dict[str, tuple[int, int]]
    """Field name → (shift, width)."""
    flow: Flow
    semantics: Semantics
    valid_if: Validity | None = None
    privileged: bool = False
    """Whether it exists in system mode only; in user programs it is Coprocessor Unusable."""

    def matches(self, word: int) -> bool:
        """Whether `word` is an instance of this instruction."""
        if word & self.mask != self.match:
            return False
        return self.valid_if is None or self.valid_if(lambda name: self.field(word, name))

    @property
    def functions(self) -> Sequence[int]:
        """The values that the low six bits of its words can have."""
        mask = self.mask & 63
        return (self.match & 63,) if mask == 63 else _values_of_six_bits(mask, self.match & mask)

    @property
    def ignored(self) -> int:
        """The bits of a word that mean nothing."""
        meaningful = self.mask
        for shift, width in self.fields.values():
            meaningful |= (1 << width) - 1 << shift
        return ~meaningful & 0xFFFF_FFFF

    def field(self, word: int, name: str) -> int:
        """The value of a field of `word`, sign-extended where the field is signed."""
        shift, width = self.fields[name]
        value = word >> shift & (1 << width) - 1
        if name in SIGNED_FIELDS and value >> (width - 1):
            value -= 1 << width
        return value


@cache
def _values_of_six_bits(mask: int, match: int) -> list[int]:
    return [value for value in range(64) if value & mask == match]


ENCODINGS: Final[dict[str, Encoding]] = {}
"""Every instruction by mnemonic, filled by the modules of `translator.isa`."""


def instruction(
    mnemonic: str,
    pattern: str,
    flow: Flow = Flow.NEXT,
    valid_if: Validity | None = None,
) -> Callable[[Semantics], Semantics]:
    """Register the decorated function as the semantics of `mnemonic`."""

    def register(semantics: Semantics) -> Semantics:
        _register(mnemonic, pattern, flow, semantics, valid_if, privileged=False)
        return semantics

    return register


def privileged_instruction(
    mnemonic: str,
    pattern: str,
    flow: Flow = Flow.NEXT,
    valid_if: Validity | None = None,
) -> Callable[[PrivilegedSemantics], PrivilegedSemantics]:
    """The same for an instruction that exists in system mode only."""

    def register(semantics: PrivilegedSemantics) -> PrivilegedSemantics:
        # The table holds one kind of semantics; `decode` lets no Cpu but a SystemCpu meet a privileged one.
        _register(mnemonic, pattern, flow, cast(Semantics, semantics), valid_if, privileged=True)
        return semantics

    return register


def _register(
    mnemonic: str,
    pattern: str,
    flow: Flow,
    semantics: Semantics,
    valid_if: Validity | None,
    *,
    privileged: bool,
) -> None:
    assert mnemonic not in ENCODINGS, mnemonic
    mask, match, fields = _parse(pattern)
    ENCODINGS[mnemonic] = Encoding(
        mnemonic, pattern, mask, match, fields, flow, semantics, valid_if, privileged
    )


def _parse(pattern: str) -> tuple[int, int, dict[str, tuple[int, int]]]:
    position = 32
    mask = match = 0
    fields: dict[str, tuple[int, int]] = {}
    for group in pattern.split():
        is_bits = set(group) <= {"0", "1", "."}
        width = len(group) if is_bits else FIELD_WIDTH[group]
        position -= width
        if is_bits:
            mask |= int(group.replace("0", "1").replace(".", "0"), 2) << position
            match |= int(group.replace(".", "0"), 2) << position
        else:
            fields[group] = (position, width)
    assert position == 0, f"pattern {pattern!r} is not 32 bits"
    return mask, match, fields
