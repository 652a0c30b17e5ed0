"""Decoding against capstone and against the encodings, and the text of instructions."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import capstone
import pytest

from translator import decode as decoder
from translator.cp0_registers import CP0_REGISTERS
from translator.decode import (
    CANONICAL_MNEMONICS,
    Instruction,
    decode,
    decode_privileged,
    disassemble,
    lookup,
    lookup_privileged,
    remember,
)
from translator.encoding import ENCODINGS, Encoding

WORDS_PER_ENCODING = 60
RANDOM_WORDS = 40_000

CAPSTONE_GAPS: tuple[tuple[str, Callable[[Encoding, int], bool]], ...] = (
    ("not in capstone 5", lambda encoding, word: encoding.mnemonic in NOT_IN_CAPSTONE),
    ("rdhwr only of register 29", lambda encoding, word: is_rdhwr(encoding) and word >> 11 & 31 != 29),
    ("comparisons only into $fcc0", lambda encoding, word: is_comparison(encoding) and word >> 8 & 7 != 0),
    (
        "COP1X with register 8 in front is taken for bc3f …",
        lambda encoding, word: word >> 21 == 0x13 << 5 | 8,
    ),
)
"""Where capstone does not name our instruction: why, and for which words exactly."""
NOT_IN_CAPSTONE = {"prefx", "recip.s", "recip.d", "rsqrt.s", "rsqrt.d", "rdpgpr", "wrpgpr", "hypcall"}

CAPSTONE_KNOWS_MORE: dict[int, tuple[set[int] | None, str]] = {
    0x00: ({0x05, 0x15}, "lsa and dlsa belong to MSA"),
    0x01: (None, "bposge32 belongs to DSP"),
    0x10: (None, "bc0f … need a condition line that is not there, deret EJTAG"),
    0x11: (None, "bz and bnz belong to MSA"),
    0x12: (None, "COP2 does not exist"),
    0x13: (None, "COP3 gave way to COP1X"),
    0x1C: ({0x3F}, "sdbbp is for debuggers"),
    0x1D: (None, "jalx enters MIPS16"),
    0x1E: (None, "MSA"),
    0x1F: (None, "DSP; ext and ins whose field does not lie within the word"),
    **dict.fromkeys((0x32, 0x36, 0x3A, 0x3E), (None, "COP2 does not exist")),
}
"""Reserved instructions that capstone names: opcode → functions (None: any), why."""


def is_rdhwr(encoding: Encoding) -> bool:
    return encoding.mnemonic.startswith("rdhwr.")


def is_comparison(encoding: Encoding) -> bool:
    return encoding.mnemonic.startswith("c.")


def is_capstone_gap(encoding: Encoding, word: int) -> bool:
    return any(applies(encoding, word) for _, applies in CAPSTONE_GAPS)


def words_of(encoding: Encoding, seed: int) -> Iterator[int]:
    """Random instances of an instruction, with zeros in the bits it ignores (capstone insists on them)."""
    generator = random.Random(seed)
    found = 0
    while found < WORDS_PER_ENCODING:
        word = generator.getrandbits(32) & ~encoding.mask & ~encoding.ignored | encoding.match
        if encoding.matches(word):
            found += 1
            yield word


ENGINES = [
    capstone.Cs(capstone.CS_ARCH_MIPS, mode | capstone.CS_MODE_BIG_ENDIAN)
    for mode in (capstone.CS_MODE_MIPS32, capstone.CS_MODE_MIPS64)
]


def capstone_names(word: int, engines: Sequence[capstone.Cs] = ENGINES) -> set[str]:
    """Mnemonics of the table that capstone's names for the word may stand for, in any of its modes."""
    names = set()
    for engine in engines:
        for _, _, mnemonic, _ in engine.disasm_lite(word.to_bytes(4, "big"), 0):
            names |= set(CANONICAL_MNEMONICS.get(mnemonic, (mnemonic,)))
    return names


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.mnemonic)
def test_every_instance_decodes_and_capstone_agrees(encoding: Encoding) -> None:
    for word in words_of(encoding, seed=1):
        instruction = decode_privileged(word)
        assert instruction is not None and instruction.encoding is encoding
        assert decode(word) == (None if encoding.privileged else instruction)
        agrees = encoding.mnemonic in capstone_names(word)
        assert agrees != is_capstone_gap(encoding, word), f"{word:#010x} is {capstone_names(word)}"


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.mnemonic)
def test_ignored_bits_change_nothing(encoding: Encoding) -> None:
    generator = random.Random(2)
    for word in words_of(encoding, seed=2):
        noisy = word | generator.getrandbits(32) & encoding.ignored
        instruction = decode_privileged(noisy)
        assert instruction is not None and instruction.encoding is encoding, f"{noisy:#010x}"
        assert decode(noisy) == (None if encoding.privileged else instruction)
        assert disassemble(noisy, 0) == disassemble(word, 0)


def test_random_words_against_capstone(first_seed: int) -> None:
    generator = random.Random(first_seed)
    for _ in range(RANDOM_WORDS):
        word = generator.getrandbits(32)
        names, encoding = capstone_names(word, ENGINES[:1]), lookup_privileged(word)
        assert decode_privileged(word) == (encoding and Instruction(word, encoding))
        for_users = None if encoding is None or encoding.privileged else encoding
        assert lookup(word) is for_users
        assert decode(word) == (for_users and Instruction(word, for_users))
        if encoding is None and names:
            assert word >> 26 in CAPSTONE_KNOWS_MORE, f"capstone takes {word:#010x} for {names}"
            functions, _ = CAPSTONE_KNOWS_MORE[word >> 26]
            assert functions is None or word & 63 in functions, f"capstone takes {word:#010x} for {names}"
        elif encoding is not None and names and not is_capstone_gap(encoding, word):
            assert encoding.mnemonic in names, f"{word:#010x}"


def test_random_words_of_coprocessor_0_against_capstone(first_seed: int) -> None:
    generator = random.Random(first_seed)
    for _ in range(RANDOM_WORDS):
        word = 0x10 << 26 | generator.getrandbits(26)
        if generator.getrandbits(1):  # capstone insists on zeros in what is ignored
            word &= ~0x01FF_FFC0 if word >> 25 & 1 else ~0x7F8
        names, encoding = capstone_names(word, ENGINES[:1]), lookup_privileged(word)
        assert decode(word) is None
        if encoding is None:
            assert names <= {"bc0f", "bc0t", "bc0fl", "bc0tl", "deret"}, (
                f"capstone takes {word:#010x} for {names}"
            )
        elif names:
            assert encoding.mnemonic in names, f"{word:#010x}"


@pytest.mark.parametrize(("name", "operation"), [("mfc0", 0), ("mtc0", 4)])
def test_moves_of_coprocessor_0_name_the_register(name: str, operation: int) -> None:
    """A register of the table has an instruction of its own; the other numbers share one."""
    registers = {(register.number, register.select): register.name for register in CP0_REGISTERS}
    assert len(registers) == len(CP0_REGISTERS)
    for number in range(32):
        for select in range(8):
            word = 0x10 << 26 | operation << 21 | 9 << 16 | number << 11 | select
            instruction = decode_privileged(word)
            assert instruction is not None
            assert instruction.mnemonic == f"{name}.{registers.get((number, select), 'other')}"


@pytest.mark.parametrize(
    ("word", "mnemonic"),
    [
        (0x0000_0000, "sll"), (0x0000_0040, "sll"), (0x0000_00C0, "sll"), (0x0060_1025, "or"),
        (0x0060_1021, "addu"), (0x1000_FFFF, "beq"), (0x1420_0001, "bne"), (0x0411_0001, "bgezal"),
        (0x0002_1023, "subu"), (0x0002_1022, "sub"), (0x0002_1027, "nor"), (0x03E0_0408, "jr"),
        (0x0320_FC09, "jalr"), (0x7C03_E83B, "rdhwr.userlocal"), (0x5020_0001, "beql"), (0x5420_0001, "bnel"),
    ],
)  # fmt: skip
def test_aliases(word: int, mnemonic: str) -> None:
    instruction = decode(word)
    assert instruction is not None and instruction.mnemonic == mnemonic


@pytest.mark.parametrize(
    "word",
    [
        0xFFFF_FFFF, 0x7C00_00FF, 0x0000_0005, 0x0000_000E, 0x0000_0028, 0x0400_FFFF & ~0x1F0000 | 0x1E0000,
        0x6000_0000, 0x4A00_0000, 0xC800_0000, 0xDC00_0000, 0x7400_0000, 0x0040_0002,
        0x0000_0086, 0x7C03_203B, 0x03E0_0049, 0x0000_0810 | 1 << 21,
    ],
)  # fmt: skip
def test_reserved(word: int) -> None:
    assert decode(word) is None and decode_privileged(word) is None
    assert disassemble(word, 0) == f".word {word:#010x}"


def test_operand_fields() -> None:
    instruction = decode(0x27BD_FFE0)
    assert instruction is not None
    assert (instruction.rs, instruction.rt, instruction.imm) == (29, 29, -32)
    assert instruction.field("imm") == -32
    with pytest.raises(AttributeError, match="addiu has no operand field rd"):
        _ = instruction.rd


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x0085_1021, "addu $v0, $a0, $a1"), (0x1000_0010, "b 0x400044"), (0x03E0_0008, "jr $ra"),
        (0x8FBC_FFF0, "lw $gp, -0x10($sp)"), (0x0C10_0000, "jal 0x400000"), (0x0000_0000, "nop"),
        (0x4C01_000F, "prefx 0, $at($zero)"), (0x7C03_103B, "rdhwr $v1, $2 # cc"),
        (0x7C03_E83B, "rdhwr $v1, $29"),
        (0x4C64_2005, "luxc1 $f0, $a0($v1)"), (0x4C44_01A1, "madd.d $f6, $f2, $f0, $f4"),
        (0x4620_0015, "recip.d $f0, $f0"), (0x4602_0432, "c.eq.s $fcc4, $f0, $f2"),
        (0x03E0_00C8, "jr $ra"), (0x0085_10E1, "addu $v0, $a0, $a1"),
        (0x4008_6000, "mfc0 $t0, $t4, 0"), (0x4088_8007, "mtc0 $t0, $s0, 7"), (0x4200_0018, "eret"),
        (0x4200_0020, "wait"), (0x4200_0028, "hypcall"), (0x4145_B000, "rdpgpr $s6, $a1"),
        (0x4160_6020, "ei"), (0xBC61_0010, "cache 1, 0x10($v1)"),
    ],
)  # fmt: skip
def test_text(word: int, text: str) -> None:
    assert disassemble(word, 0x40_0000) == text


def test_instructions_travel_by_mnemonic() -> None:
    instruction = decode(0x0085_1021)
    copy = pickle.loads(pickle.dumps(instruction))
    assert isinstance(copy, Instruction)
    assert copy == instruction and copy.encoding is ENCODINGS["addu"]


def test_remembered_words_need_no_capstone() -> None:
    script = (
        "import sys; from translator.decode import decode, remember\n"
        "remember([(0x00851021, 'addu'), (0xffffffff, None)])\n"
        "assert decode(0x00851021).mnemonic == 'addu' and decode(0xffffffff) is None\n"
        "assert 'capstone' not in sys.modules\n"
        "decode(0x00851023); assert 'capstone' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("word", "mnemonic"), [(0x0085_1021, "subu"), (0x0085_1021, None), (0xFFFF_FFFF, "addu"), (0, "nop")]
)
def test_wrong_memories_are_refused(word: int, mnemonic: str | None) -> None:
    with pytest.raises(ValueError, match=f"{word:#010x}"):
        remember([(word, mnemonic)])


def test_decoded_words_lists_what_was_decoded() -> None:
    decode(0x0085_1021)
    decode(0xFFFF_FFFF)
    words = decoder.decoded_words()
    assert words[0x0085_1021] == "addu"
    assert words[0xFFFF_FFFF] is None
    remember(words.items())
