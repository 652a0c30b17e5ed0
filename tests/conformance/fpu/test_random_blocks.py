"""Random straight-line FPU code in a loop: operations, moves, loads and stores in every order, on every
engine.

What one instruction does is settled elsewhere; here the engines' ways of keeping results in host registers,
of sharing checks, and of recording the last operation meet every mixture of formats and observers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from tests.conformance.assembler import assemble, encode
from tests.conformance.engines import ENGINES
from tests.conformance.machine import DATA, DATA_SIZE, Outcome, Registers, Start
from tests.conformance.machines import make_machine
from tests.translator.fpu.operands import random_value
from translator.encoding import ENCODINGS
from translator.float_mode import is_reserved

BASE, COUNTER = 16, 17
"""General registers: start of the data, iterations left."""
ITERATIONS = 3
BLOCKS = 60
_FPU_OPCODES = (0x11, 0x13, 0x31, 0x35, 0x39, 0x3D)
_FLOAT_FIELDS = ("fs", "ft", "fd", "fr")
_PLAIN = sorted(
    mnemonic
    for mnemonic, encoding in ENCODINGS.items()
    if encoding.match >> 26 in _FPU_OPCODES and not encoding.flow.has_delay_slot and "c1." not in mnemonic
)
_ARITHMETIC = [
    mnemonic
    for mnemonic in _PLAIN
    if mnemonic.partition(".")[0]
    in ("add", "sub", "mul", "div", "sqrt", "madd", "msub", "nmadd", "nmsub", "c")
]
"""What can wait for a check: a block of nothing else, in one format, makes the longest stretches."""


def _random_instruction(source: random.Random, wide_fpu: bool, mnemonics: Sequence[str] = _PLAIN) -> int:
    if mnemonics is _PLAIN and source.randrange(25) == 0:
        return assemble(source.choice(["ctc1.fcsr r9", "cfc1.fcsr r10, 31", "cfc1.fcsr r11, 31"]))
    while True:
        encoding = ENCODINGS[source.choice(mnemonics)]
        fields: dict[str, int] = {}
        for name in encoding.fields:
            if name in _FLOAT_FIELDS:
                fields[name] = source.randrange(12)
            elif name == "base":
                fields[name] = BASE
            elif name == "offset":
                fields[name] = 8 * source.randrange(32) + 4 * source.getrandbits(1)
            elif name == "rt":
                fields[name] = source.choice([0, 8, 10, 11]) if "base" not in encoding.fields else 0
            elif name == "cc":
                fields[name] = source.randrange(3)
        word = encode(encoding.mnemonic, **fields)
        if not is_reserved(encoding, word, wide_fpu):
            return word


def _start(source: random.Random, wide_fpu: bool) -> Start:
    mnemonics = _PLAIN
    if source.randrange(4) == 0:
        suffix = source.choice([".s", ".d"])
        mnemonics = [mnemonic for mnemonic in _ARITHMETIC if mnemonic.endswith(suffix)]
    words = [_random_instruction(source, wide_fpu, mnemonics) for _ in range(source.choice([4, 12, 40]))]
    words.append(assemble(f"addiu r{COUNTER}, r{COUNTER}, -1"))
    words.append(assemble(f"bne r{COUNTER}, r0, {-len(words) - 1}"))
    words.append(_random_instruction(source, wide_fpu))
    registers = Registers()
    registers.gpr[BASE], registers.gpr[COUNTER] = DATA, ITERATIONS
    registers.gpr[9] = source.getrandbits(2)
    nothing_special = source.getrandbits(1)
    kind = "d" if wide_fpu else "s"
    for number in range(32):
        registers.fpr[number] = random_value(source, kind)
        if nothing_special:
            registers.fpr[number] = 0x3F80_0000 + source.getrandbits(24) << (32 if wide_fpu else 0)
    data = b"".join(random_value(source, "d").to_bytes(8, "little") for _ in range(64))
    return Start(tuple(words), registers, data.ljust(DATA_SIZE, b"\0"))


def _check(engine: str, wide_fpu: bool, seed: int) -> None:
    start = _start(random.Random(seed), wide_fpu)
    reference: Outcome = make_machine("reference", False, wide_fpu).execute(start)
    outcome = make_machine(engine, False, wide_fpu).execute(start)
    assert outcome.event == reference.event == "exception BP", seed
    assert outcome.registers == reference.registers, seed
    assert outcome.data == reference.data, seed


@pytest.mark.parametrize("wide_fpu", [False, True], ids=["fr0", "fr1"])
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "reference"])
def test_blocks(engine: str, wide_fpu: bool, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + BLOCKS):
        _check(engine, wide_fpu, seed)


@pytest.mark.soak
def test_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        for engine in ENGINES:
            _check(engine, bool(seed & 1), seed)
