"""Which FPU instructions are reserved in the 32-bit register mode (Status.FR = 0)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from translator.dataflow import dataflow
from translator.decode import decode
from translator.encoding import Encoding

_PAIR_OF_EITHER: Final = ("ldc1", "sdc1", "movf.d", "movt.d", "movn.d", "movz.d")
"""Where QEMU's 24Kf does not insist on an even register, and takes the pair that the register belongs to."""
_UNALIGNED_INDEXED: Final = ("luxc1", "suxc1")


def without_reserved_pairs(word_at: Callable[[int], int | None]) -> Callable[[int], int | None]:
    """`word_at`, except that it gives None where Status.FR = 0 makes the instruction reserved."""

    def word(pc: int) -> int | None:
        found = word_at(pc)
        if found is None:
            return None
        instruction = decode(found)
        reserved = instruction is not None and is_reserved(instruction.encoding, found, fr=False)
        return None if reserved else found

    return word


def is_reserved(encoding: Encoding, word: int, fr: bool) -> bool:
    """Whether `word`, an instance of `encoding`, is a reserved instruction with Status.FR = `fr`, as in QEMU.

    With FR = 0 doublewords live in even-odd pairs, named by the even register, and format L does not exist.
    """
    return not fr and (always_reserved(encoding) or bool(word & odd_register_bits(encoding)))


def always_reserved(encoding: Encoding) -> bool:
    """Whether an instruction does not exist with Status.FR = 0."""
    return "l" in encoding.mnemonic.split(".") or encoding.mnemonic in _UNALIGNED_INDEXED


@cache
def odd_register_bits(encoding: Encoding) -> int:
    """The bits of a word that say that a doubleword's register is odd, which is reserved with Status.FR = 0."""
    if encoding.mnemonic in _PAIR_OF_EITHER:
        return 0
    doublewords = dataflow(encoding).register_fields("fpr64")
    return sum(1 << encoding.fields[name][0] for name in doublewords)
