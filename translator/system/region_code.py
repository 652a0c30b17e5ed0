"""What regions of system mode are made of: everything but instructions that change what control depends on."""

from __future__ import annotations

from translator.dataflow import dataflow
from translator.decode import Instruction, decode_privileged

_LEFT_TO_TIER_0 = frozenset({"mfc0.count", "mfc0.cause", "mfc0.random", "hypcall", "wait", "eret"})


def decode_in_region(word: int) -> Instruction | None:
    """The instruction, unless it may change mode, address space, time or interrupts: tier 0 does those."""
    instruction = decode_privileged(word)
    if instruction is None or not instruction.encoding.privileged:
        return instruction
    if instruction.mnemonic in _LEFT_TO_TIER_0 or dataflow(instruction.encoding).changes_system:
        return None
    return instruction
