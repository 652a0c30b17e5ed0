"""The address a memory fault reports, where it is not the one that was accessed."""

from __future__ import annotations

from typing import Final

from translator.decode import decode
from translator.state import CpuState

_ACCESS_ALIGNED_WORD: Final = frozenset({"lwl", "lwr"})


def reported_address(state: CpuState, word: int, accessed: int) -> int:
    """BadVAddr of a fault at guest address `accessed` of the instruction `word`; registers as before it.

    lwl and lwr are defined as access to the aligned word, but report their effective address.
    """
    instruction = decode(word)
    if instruction is None or instruction.mnemonic not in _ACCESS_ALIGNED_WORD:
        return accessed
    base = state.gpr[instruction.field("base")]
    return int(base + instruction.field("offset") & 0xFFFF_FFFF)
