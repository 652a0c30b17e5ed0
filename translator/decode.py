"""Instruction words → instructions, and → text.

Capstone names the mnemonic; our table `ENCODINGS` has the last word on whether it is valid, and supplies what
capstone does not know (recip, rsqrt, prefx, madd.d, …). Each distinct word is decoded once, and what was
decoded can be carried to another run by mnemonic (`decoded_words`, `remember`), so that a run that meets only
known words never imports capstone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import translator.isa  # noqa: F401  (fills ENCODINGS)
from translator.encoding import ENCODINGS, Encoding, Flow

if TYPE_CHECKING:
    from capstone import Cs


REMEMBERED_WORDS: Final = 1 << 17
"""Distinct words kept decoded at most."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A decoded word. Operand fields are attributes: `i.rs`, `i.imm` (signed where the field is)."""

    word: int
    encoding: Encoding

    @property
    def mnemonic(self) -> str:
        return self.encoding.mnemonic

    @property
    def flow(self) -> Flow:
        return self.encoding.flow

    def field(self, name: str) -> int:
        """The value of an operand field; KeyError if the instruction has none of that name."""
        return self.encoding.field(self.word, name)

    def __getattr__(self, name: str) -> int:
        if name not in self.encoding.fields:
            raise AttributeError(f"{self.encoding.mnemonic} has no operand field {name}")
        return self.encoding.field(self.word, name)

    def __reduce__(self) -> Any:
        # Semantics are functions that pickle cannot name, so an instruction travels by its mnemonic.
        return _instruction, (self.word, self.encoding.mnemonic)


_decoded: Final[dict[int, Instruction | None]] = {}


def decode(word: int) -> Instruction | None:
    """The instruction encoded by `word`, as user programs know it; None if it is reserved."""
    instruction = decode_privileged(word)
    return None if instruction is None or instruction.encoding.privileged else instruction


def decode_privileged(word: int) -> Instruction | None:
    """The instruction encoded by `word`, with those that only system mode has; None if it is reserved."""
    try:
        return _decoded[word]
    except KeyError:
        if len(_decoded) >= REMEMBERED_WORDS:
            _decoded.clear()  # a guest that makes up instructions without end
        encoding = _identify(word)
        result = _decoded[word] = Instruction(word, encoding) if encoding else None
        return result


UNUSABLE_COPROCESSOR: Final = {0x10: 0, 0x2F: 0, **dict.fromkeys((0x32, 0x36, 0x3A, 0x3E), 2)}
"""Opcodes whose words are not reserved but raise Coprocessor Unusable in user mode (as QEMU's 24Kf has it).

Coprocessor 0 and `cache` are privileged; 2 does not exist, and its opcode 0x12 is a reserved instruction.
"""


def decoded_words() -> dict[int, str | None]:
    """Every word decoded so far, with its mnemonic (None: reserved)."""
    return {word: known.mnemonic if known else None for word, known in _decoded.items()}


def remember(words: Iterable[tuple[int, str | None]]) -> None:
    """Take over words decoded by an earlier run. A pair that the table contradicts raises ValueError."""
    for word, mnemonic in words:
        encoding = ENCODINGS.get(mnemonic) if mnemonic is not None else None
        expected = lookup_privileged(word)
        if encoding is not expected or (encoding is None) != (mnemonic is None):
            raise ValueError(f"{word:#010x} is not {mnemonic or 'a reserved instruction'}")
        _decoded[word] = Instruction(word, encoding) if encoding else None


def _instruction(word: int, mnemonic: str) -> Instruction:
    return Instruction(word, ENCODINGS[mnemonic])


def _identify(word: int) -> Encoding | None:
    """Capstone's answer if the table confirms it, else the table's."""
    for named, _ in _capstone_texts(word, 0):
        for candidate in CANONICAL_MNEMONICS.get(named, (named,)):
            encoding = ENCODINGS.get(candidate)
            if encoding is not None and encoding.matches(word):
                return encoding
    return lookup_privileged(word)


def lookup(word: int) -> Encoding | None:
    """The encoding of `word` by the table alone."""
    encoding = lookup_privileged(word)
    return None if encoding is None or encoding.privileged else encoding


def lookup_privileged(word: int) -> Encoding | None:
    """The encoding of `word` by the table alone, with those that only system mode has."""
    opcode, function = word >> 26, word & 63
    for encoding in _index().get((opcode, function), ()):
        if encoding.matches(word):
            return encoding
    return None


@cache
def _index() -> dict[tuple[int, int], list[Encoding]]:
    """Encodings by opcode and the low six bits (where an encoding leaves these open: under all 64)."""
    index: dict[tuple[int, int], list[Encoding]] = {}
    for encoding in ENCODINGS.values():
        assert encoding.mask >> 26 == 63, encoding.mnemonic
        for function in encoding.functions:
            index.setdefault((encoding.match >> 26, function), []).append(encoding)
    return index


def _variants(stem: str) -> tuple[str, ...]:
    """The mnemonics of the table that split one instruction by a register number: `rdhwr.cc`, `cfc1.fcsr`."""
    return tuple(mnemonic for mnemonic in ENCODINGS if mnemonic.startswith(f"{stem}."))


CANONICAL_MNEMONICS: Final[dict[str, tuple[str, ...]]] = {
    "nop": ("sll",),
    "ssnop": ("sll",),
    "ehb": ("sll",),
    "pause": ("sll",),
    "move": ("addu", "or"),
    "neg": ("sub",),
    "negu": ("subu",),
    "not": ("nor",),
    "b": ("beq",),
    "beqz": ("beq",),
    "bnez": ("bne",),
    "bal": ("bgezal",),
    "jr": ("jr", "jalr"),
    "jr.hb": ("jr", "jalr"),
    "jalr.hb": ("jalr",),
    "rdhwr": _variants("rdhwr"),
    "cfc1": _variants("cfc1"),
    "cache": _variants("cache"),
    "mfc0": _variants("mfc0"),
    "mtc0": _variants("mtc0"),
    "ctc1": _variants("ctc1"),
}
"""Capstone's names → the mnemonics of the table they may stand for."""


@cache
def _capstone() -> tuple[Cs, ...]:
    """MIPS32, and for what that lacks (odd doubleword registers, format L) MIPS64."""
    import capstone  # costs 45 ms and more: only when a word is met for the first time

    modes = (capstone.CS_MODE_MIPS32, capstone.CS_MODE_MIPS64)
    return tuple(capstone.Cs(capstone.CS_ARCH_MIPS, mode | capstone.CS_MODE_BIG_ENDIAN) for mode in modes)


def _capstone_texts(word: int, address: int) -> Iterator[tuple[str, str]]:
    """Mnemonic and operands, as each mode sees the word."""
    for engine in _capstone():
        for _, _, mnemonic, operands in engine.disasm_lite(word.to_bytes(4, "big"), address):
            yield mnemonic, operands


def disassemble(word: int, address: int) -> str:
    """Assembly text of the word at `address`; `.word` for a reserved instruction."""
    instruction = decode_privileged(word)
    if instruction is None:
        return f".word {word:#010x}"
    for mnemonic, operands in _capstone_texts(word & ~instruction.encoding.ignored, address):
        if instruction.mnemonic in CANONICAL_MNEMONICS.get(mnemonic, (mnemonic,)):
            return f"{mnemonic} {operands}".rstrip()
    return _own_text(instruction)


REGISTER_NAMES: Final = (
    "$zero", "$at", "$v0", "$v1", "$a0", "$a1", "$a2", "$a3",
    "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7",
    "$s0", "$s1", "$s2", "$s3", "$s4", "$s5", "$s6", "$s7",
    "$t8", "$t9", "$k0", "$k1", "$gp", "$sp", "$fp", "$ra",
)  # fmt: skip
_OPERAND_ORDER: Final = ("hint", "cc", "rd", "fd", "fr", "fs", "ft", "rs", "rt")
"""Destination first, as assemblers have it; enough for the instructions that capstone lacks."""


def _own_text(instruction: Instruction) -> str:
    """What capstone cannot print."""
    fields = instruction.encoding.fields
    if instruction.mnemonic.startswith("rdhwr."):
        stem, _, variant = instruction.mnemonic.partition(".")
        number = instruction.word >> 11 & 31
        return f"{stem} {REGISTER_NAMES[instruction.field('rt')]}, ${number} # {variant}"
    operands = [_operand_text(name, instruction.field(name)) for name in _OPERAND_ORDER if name in fields]
    if "base" in fields:
        index = operands.pop()
        operands.append(f"{index}({REGISTER_NAMES[instruction.field('base')]})")
    return f"{instruction.mnemonic} {', '.join(operands)}".rstrip()


def _operand_text(name: str, number: int) -> str:
    if name == "cc":
        return f"$fcc{number}"
    if name == "hint":
        return str(number)
    return f"$f{number}" if name.startswith("f") else REGISTER_NAMES[number]
