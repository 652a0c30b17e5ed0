"""The instruction table as a whole: its patterns are well formed and no word has two meanings."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

import translator.isa  # noqa: F401
from translator.dataflow import dataflow
from translator.encoding import ENCODINGS, Encoding, Remainder, instruction
from translator.state import ExceptionCode


def test_encodings_are_disjoint() -> None:
    generator = random.Random(1)
    for a, b in combinations(ENCODINGS.values(), 2):
        common = a.mask & b.mask
        if a.match & common != b.match & common:
            continue
        # Only their conditions on fields can keep these two apart.
        for _ in range(1000):
            word = generator.getrandbits(32) & ~(a.mask | b.mask) | a.match | b.match
            assert not (a.matches(word) and b.matches(word)), f"{a.mnemonic} and {b.mnemonic} overlap"


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.mnemonic)
def test_fields_mask_and_ignored_bits_partition_the_word(encoding: Encoding) -> None:
    parts = [encoding.mask, encoding.ignored]
    parts += [(1 << width) - 1 << shift for shift, width in encoding.fields.values()]
    total = 0
    for part in parts:
        assert total & part == 0
        total |= part
    assert total == 0xFFFF_FFFF
    assert encoding.match & ~encoding.mask == 0


def test_signed_and_unsigned_fields() -> None:
    addiu, ori = ENCODINGS["addiu"], ENCODINGS["ori"]
    assert addiu.field(0x2402_8000, "imm") == -0x8000
    assert addiu.field(0x2402_7FFF, "imm") == 0x7FFF
    assert ori.field(0x3402_8000, "uimm") == 0x8000
    assert addiu.field(0x27BD_FFE0, "rs") == addiu.field(0x27BD_FFE0, "rt") == 29


def test_field_combinations_that_are_no_instruction() -> None:
    ext, ins = ENCODINGS["ext"], ENCODINGS["ins"]
    assert ext.matches(ext.match | 15 << 11 | 16 << 6)
    assert not ext.matches(ext.match | 16 << 11 | 16 << 6), "the field reaches beyond bit 31"
    assert ins.matches(ins.match | 16 << 11 | 16 << 6)
    assert not ins.matches(ins.match | 15 << 11 | 16 << 6), "msb lies below lsb"


def test_a_mnemonic_is_registered_once() -> None:
    with pytest.raises(AssertionError):
        instruction("addu", "000000 rs rt rd 00000 100001")(ENCODINGS["addu"].semantics)


def test_a_pattern_has_32_bits() -> None:
    with pytest.raises(AssertionError, match="32 bits"):
        instruction("short", "000000 rs rt rd 100001")(ENCODINGS["addu"].semantics)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.mnemonic)
def test_declared_flow_is_what_the_semantics_do(encoding: Encoding) -> None:
    record = dataflow(encoding)
    assert record.flow is encoding.flow
    used = record.immediates | record.register_fields()
    assert used <= encoding.fields.keys()
    assert ExceptionCode.INT not in record.exceptions


@pytest.mark.parametrize(
    "encoding",
    [encoding for encoding in ENCODINGS.values() if isinstance(encoding.valid_if, Remainder)],
    ids=lambda encoding: encoding.mnemonic,
)
def test_what_a_remainder_leaves_out_is_defined_before_it(encoding: Encoding) -> None:
    """Native code takes the first encoding that a word matches by its mask."""
    remainder = encoding.valid_if
    assert isinstance(remainder, Remainder) and remainder.named
    earlier = list(ENCODINGS.values())[: list(ENCODINGS).index(encoding.mnemonic)]
    for numbers in remainder.named:
        word = encoding.match
        for name, number in zip(remainder.fields, numbers, strict=True):
            word |= number << encoding.fields[name][0]
        assert not encoding.matches(word)
        assert [each.mnemonic for each in earlier if word & each.mask == each.match], hex(word)
