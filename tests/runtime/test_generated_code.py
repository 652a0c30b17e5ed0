"""A guest that keeps generating code: what it leaves behind in the engine stays bounded."""

from __future__ import annotations

from typing import Literal

import pytest

from runtime.address_space import EXEC, PAGE_SIZE, READ, WRITE, AddressSpace
from runtime.vcpu import Vcpu
from tests.conformance.assembler import assemble
from translator import decode
from translator.state import ExceptionCode, Stop

CODE = 0x40_0000
BUFFERS = 0x50_0000
BUFFER_PAGES = 16
DISTINCT_BLOCKS = 100_000

# r4: number of the block, r5: last number, r6: how often each block is called, r16: where it is written.
GENERATOR = """
    lui r16, 0x50
    andi r8, r4, 15
    sll r8, r8, 12
    addu r16, r16, r8
    andi r8, r4, 0x7f0
    addu r16, r16, r8
    lui r9, 0x3c02
    srl r8, r4, 16
    or r8, r8, r9
    sw r8, 0(r16)
    lui r9, 0x3442
    andi r8, r4, -1
    or r8, r8, r9
    sw r8, 4(r16)
    lui r9, 0x03e0
    ori r9, r9, 8
    sw r9, 8(r16)
    sw r0, 12(r16)
    addu r10, r6, r0
    jalr r31, r16
    addiu r10, r10, -1
    bne r2, r4, +5
    nop
    bne r10, r0, -5
    nop
    bne r4, r5, -26
    addiu r4, r4, 1
    break
"""
# lui r2, high(r4); ori r2, r2, low(r4); jr r31; nop


def run_generator(
    engine: Literal["interpreter", "auto"], first: int, last: int, calls: int, vcpu: Vcpu
) -> None:
    state = vcpu.state
    state.pc = CODE
    state.gpr[4], state.gpr[5], state.gpr[6] = first, last, calls
    stop = vcpu.run()
    assert (stop, state.exception_code) == (Stop.EXCEPTION, ExceptionCode.BP)
    assert state.gpr[2] == last, "a block gave another block's number"
    assert state.gpr[4] == last + 1


@pytest.fixture
def space() -> AddressSpace:
    space = AddressSpace()
    words = [assemble(line.strip()) for line in GENERATOR.strip().splitlines()]
    space.map_anonymous(CODE, PAGE_SIZE, READ | WRITE | EXEC)
    space.write(CODE, b"".join(word.to_bytes(4, "little") for word in words))
    space.protect(CODE, PAGE_SIZE, READ | EXEC)
    space.map_anonymous(BUFFERS, BUFFER_PAGES * PAGE_SIZE, READ | WRITE | EXEC)
    return space


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE_SIZE


@pytest.mark.parametrize("engine", ["interpreter", "auto"])
def test_many_generated_blocks_leave_memory_bounded(
    engine: Literal["interpreter", "auto"], space: AddressSpace
) -> None:
    vcpu = Vcpu(space, engine=engine, use_cache=False)
    try:
        # Two new words a block: after these, everything that is remembered up to a limit has reached it.
        filled = decode.REMEMBERED_WORDS // 2 + 5_000
        run_generator(engine, 1, filled, 1, vcpu)
        before = resident_bytes()
        used = vcpu.native.arena.used
        run_generator(engine, filled + 1, DISTINCT_BLOCKS, 1, vcpu)
        assert resident_bytes() - before < 8 << 20
        assert vcpu.native.arena.used - used < 1 << 20
        assert len(decode.decoded_words()) <= decode.REMEMBERED_WORDS
    finally:
        vcpu.close()


def test_hot_generated_blocks_give_their_code_memory_back(space: AddressSpace) -> None:
    vcpu = Vcpu(space, engine="auto", use_cache=False)
    try:
        run_generator("auto", 1, 30, 3_000_000, vcpu)
        used = vcpu.native.arena.used
        run_generator("auto", 31, 90, 3_000_000, vcpu)
        assert vcpu.translations.counts.installed > 20
        assert vcpu.native.arena.used - used < 256 << 10
    finally:
        vcpu.close()
