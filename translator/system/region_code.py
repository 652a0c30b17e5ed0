"""What regions of system mode are made of: everything but instructions that change what control depends on."""

from __future__ import annotations

from translator.dataflow import dataflow
from translator.decode import Instruction, decode_privileged
from translator.encoding import ENCODINGS

_LEFT_TO_TIER_0 = frozenset(
    {"mfc0.count", "rdhwr.cc", "mfc0.cause", "mfc0.random", "hypcall", "wait", "eret"}
)


def decode_in_region(word: int) -> Instruction | None:
    """The instruction, unless it may change mode, address space, time or interrupts: tier 0 does those."""
    instruction = decode_privileged(word)
    return instruction if instruction is not None and is_part_of_regions(instruction.mnemonic) else None


def is_part_of_regions(mnemonic: str) -> bool:
    """Whether regions can contain the instruction."""
    encoding = ENCODINGS[mnemonic]
    if mnemonic in _LEFT_TO_TIER_0:
        return False
    return not encoding.privileged or not dataflow(encoding).changes_system
