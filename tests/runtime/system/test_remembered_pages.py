"""Loops in regions that step from page to page: scattered, missing, read-only and misaligned ones."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.runtime.system.bare_machine import BareMachine, Engine

FRAMES = (0x30, 0x22, 0x41, 0x25, 0x38)
"""Physical pages at 0xc0000000 and on; the last one is read-only, and nothing is behind it."""
VALID, DIRTY, GLOBAL = 2, 4, 1


class Walk(NamedTuple):
    """A loop over memory from 0xc0000000 + start."""

    body: tuple[str, ...]
    start: int
    count: int
    register: int = 2
    """That leads there."""


WALKS = {
    "words": Walk(("lw r4, 0(r2)", "addu r3, r3, r4", "addiu r2, r2, 4"), 0, 5000),
    "words backwards": Walk(("lw r4, 0(r2)", "addu r3, r3, r4", "addiu r2, r2, -4"), 0x4FFC, 5000),
    "bytes, stored": Walk(("lbu r4, 0(r2)", "addiu r4, r4, 7", "sb r4, 0(r2)", "addiu r2, r2, 1"), 0, 18_000),
    "strides": Walk(("lhu r4, 0(r2)", "addu r3, r3, r4", "addiu r2, r2, 150"), 0, 130),
    "a page and a word": Walk(("lw r4, 0(r2)", "addu r3, r3, r4", "xori r2, r2, 0x1004"), 0x10, 3000),
    "groups that straddle": Walk(
        ("lw r4, 0(r2)", "lw r5, 24(r2)", "addu r3, r4, r5", "sw r3, 12(r2)", "addiu r2, r2, 28"), 4, 580
    ),
    "far displacements": Walk(("lw r4, 0x1ffc(r2)", "addu r3, r3, r4", "addiu r2, r2, 4"), 0, 4000),
    "misaligned at last": Walk(
        ("lw r4, 0(r2)", "addu r3, r3, r4", "slti r5, r6, 100", "addu r2, r2, r5", "addiu r2, r2, 4"), 0, 3000
    ),
    "two through one register": Walk(
        ("lw r4, 0(r2)", "sw r4, 0x2000(r2)", "addu r3, r3, r4", "addiu r2, r2, 4"), 0, 2500
    ),
    "loaded pointers": Walk(("lw r2, 0x800(r2)", "addu r3, r3, r2"), 0, 5000),
}


def run(engine: Engine, walk: Walk, big_endian: bool) -> tuple[list[int], list[int], bytes, int]:
    """Registers, what the exception left, memory, and instructions executed in regions."""
    machine = BareMachine(engine, big_endian=big_endian)
    try:
        program = (
            f"lui r{walk.register}, 0xc000",
            f"ori r{walk.register}, r{walk.register}, {walk.start:#x}",
            f"addiu r6, r0, {walk.count}",
            "loop:",
            *walk.body,
            "addiu r6, r6, -1",
            "bne r6, r0, loop",
            "nop",
        )
        machine.start(*program)
        order = "big" if big_endian else "little"
        for number, frame in enumerate(FRAMES):
            words = [number * 7919 + 65537 * at for at in range(1024)]
            words[512] = 0xC000_0000 + (number + 3) % 5 * 0x1000  # the pointer to follow
            contents = b"".join((word & 0xFFFF_FFFF).to_bytes(4, order) for word in words)  # type: ignore[arg-type]
            machine.memory.write(frame << 12, contents)
        state = machine.vcpu.state
        for pair in range(0, len(FRAMES) + 1, 2):
            state.tlb_hi[pair] = 0xC000_0000 + (pair << 12)
            state.tlb_compared[pair] = 0xFFFF_E000
            state.tlb_lo0[pair], state.tlb_lo1[pair] = low(pair), low(pair + 1)
        assert machine.run() == "stop WAIT"
        exception = [state.cause, state.epc, state.bad_virtual_address, state.entry_hi, state.status]
        memory = b"".join(machine.memory.read(frame << 12, 4096) for frame in FRAMES)
        return list(state.gpr)[:32], exception, memory, int(state.translated_clock) // 16
    finally:
        machine.close()


def low(page: int) -> int:
    """EntryLo of a virtual page: the last of them is read-only, what is behind it invalid."""
    if page >= len(FRAMES):
        return GLOBAL
    return FRAMES[page] << 6 | VALID | GLOBAL | (DIRTY if page < len(FRAMES) - 1 else 0)


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("name", WALKS)
def test_walks(name: str, big_endian: bool) -> None:
    walk = WALKS[name]
    expected = run("reference", walk, big_endian)
    found = run("translator", walk, big_endian)
    assert found[:3] == expected[:3]
    assert found[3] > walk.count, "it has hardly run in regions"
