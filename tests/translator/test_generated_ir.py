"""LLVM's verifier on everything that is generated: `parse_assembly` alone lets invalid SSA pass unseen."""

from __future__ import annotations

import random

import pytest

import translator.isa  # noqa: F401  (fills ENCODINGS)
from translator.compile import compile_ir
from translator.decode import decode
from translator.encoding import ENCODINGS, Flow
from translator.handlers import handlers_ir
from translator.predecode import handler_symbol
from translator.region import Profile, Region, discover
from translator.region_ir import emit_region
from translator.system.handlers import system_handlers_ir
from translator.system.region_code import decode_in_region
from translator.translation import Mode

START = 0x40_0000


@pytest.mark.parametrize("big_endian", [False, True])
def test_the_interpreter_is_valid(big_endian: bool) -> None:
    compile_ir(handlers_ir(big_endian), verify=True)


@pytest.mark.parametrize("big_endian", [False, True])
def test_the_interpreter_of_system_mode_is_valid(big_endian: bool) -> None:
    compile_ir(system_handlers_ir(big_endian), verify=True)


def test_user_programs_have_no_handlers_of_privileged_instructions() -> None:
    ir = handlers_ir(big_endian=False)
    for encoding in ENCODINGS.values():
        assert (f"@{handler_symbol(encoding.mnemonic)}(" in ir) is not encoding.privileged, encoding.mnemonic


def random_code(chooser: random.Random, length: int = 120, *, jumps: bool = True) -> list[int]:
    """Any instructions, with branches to nearby places and calls and returns among them; no branch in a slot."""
    plain = [e for e in ENCODINGS.values() if e.flow is Flow.NEXT and not e.privileged]
    branches = [e for e in ENCODINGS.values() if e.flow.has_delay_slot and (jumps or e.flow is not Flow.JUMP)]
    words: list[int] = []
    while len(words) < length:
        is_slot = bool(words) and (before := decode(words[-1])) is not None and before.flow.has_delay_slot
        encoding = chooser.choice(branches if not is_slot and chooser.random() < 0.2 else plain)
        word = encoding.match | chooser.getrandbits(32) & ~encoding.mask & 0xFFFF_FFFF
        if encoding.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY):
            word = word & ~0xFFFF | chooser.randrange(-len(words) - 1, length - len(words)) & 0xFFFF
        elif encoding.flow is Flow.JUMP:
            word = word & ~0x3FF_FFFF | (START >> 2) + chooser.randrange(length)
        instruction = decode(word)
        if instruction is not None and (instruction.encoding.flow is Flow.NEXT or not is_slot):
            words.append(word)
    return words


MODES = [
    Mode(),
    Mode(wide_fpu=True, count_instructions=True),
    Mode(big_endian=True, precise=True),
    Mode(wide_fpu=True, float_checked=True, precise=True, count_instructions=True),
    Mode(system=True),
    Mode(system=True, wide_fpu=True, count_instructions=True),
]


@pytest.mark.parametrize("mode", MODES, ids=Mode.key)
@pytest.mark.parametrize("seed", range(6))
def test_regions_of_random_code_are_valid(mode: Mode, seed: int) -> None:
    words = random_code(random.Random(seed), jumps=seed % 2 == 0)

    def word(pc: int) -> int | None:
        index = pc - START >> 2
        return words[index] if 0 <= index < len(words) else None

    decoder = decode_in_region if mode.system else decode
    region = discover(START, Profile(word, lambda pc: 100, warm=0, max_instructions=400, decode=decoder))
    if region is None:
        pytest.skip("the first instruction is a branch whose delay slot cannot be translated")
    ir = emit_region(region, mode)
    assert set(ir.entries) <= set(region.blocks)
    assert ir.is_movable or not mode.system or seed % 2 == 0
    compile_ir(ir.text, verify=True)


def reachable_blocks(region: Region) -> set[int]:
    """The blocks that control can come to: the walk may have met others on ways that it then dropped."""
    reached: set[int] = set()
    left = list(region.entries)
    while left:
        start = left.pop()
        if start not in reached:
            reached.add(start)
            left += region.successors(region.blocks[start])
    return reached


@pytest.mark.parametrize("seed", [*range(20), 50])
def test_every_cycle_of_a_region_has_a_retreating_edge(seed: int) -> None:
    words = random_code(random.Random(1000 + seed))
    region = discover(
        START,
        Profile(lambda pc: dict(enumerate(words)).get(pc - START >> 2), lambda pc: 100, max_instructions=400),
    )
    if region is None:
        pytest.skip("the first instruction is a branch whose delay slot cannot be translated")
    retreating, reached = region.retreating_edges(), reachable_blocks(region)
    remaining = {
        start: [to for to in region.successors(block) if (start, to) not in retreating]
        for start, block in region.blocks.items()
        if start in reached
    }
    while remaining:  # without the retreating edges, blocks can be taken away in topological order
        targets = {to for successors in remaining.values() for to in successors}
        sources = [start for start in remaining if start not in targets]
        assert sources, "a cycle without a look at the stop request"
        for start in sources:
            del remaining[start]
