"""Accesses in regions that straddle two pages, which are put side by side in machine memory."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import pytest

from runtime.system.auditor import Tenant, audit
from runtime.system.vcpu import SystemVcpu
from tests.runtime.system.bare_machine import BareMachine, Engine

MEMORY = range(0x20, 0x50)
"""Physical pages that hold something."""
LOW_BITS = 7
"""Of EntryLo: dirty, valid, global."""
COUNT = 5_000
PROGRAM = (
    "lui r29, 0xc000",
    "ori r29, r29, 0xff0",
    f"addiu r6, r0, {COUNT}",
    "loop:",
    "lw r4, 8(r29)",
    "lw r5, 24(r29)",
    "addu r3, r4, r5",
    "sw r3, 12(r29)",
    "addiu r5, r5, 77",
    "sw r5, 16(r29)",
    "lw r7, 12(r29)",
    "xor r8, r8, r7",
    "addiu r6, r6, -1",
    "bne r6, r0, loop",
    "nop",
)


PAGES = {
    "scattered": (0x30, 0x22),
    "the wrong way round": (0x31, 0x30),
    "side by side": (0x30, 0x31),
    "one page twice": (0x30, 0x30),
    "at the end of memory": (0xFFF, 0x22),
}
"""Physical pages at 0xc0000000 and on."""


class Result(NamedTuple):
    """What a run has come to."""

    registers: list[int]
    memory: bytes
    machine_pages: list[int]
    fills: int
    joined: int


def run(engine: Engine, big_endian: bool, frames: tuple[int, int], *, shared: bool = False) -> Result:
    """`shared`: others use the pages, too."""
    machine = BareMachine(engine, big_endian=big_endian)
    memory = machine.memory
    try:
        machine.start(*PROGRAM)
        for frame in MEMORY:
            memory.write(frame << 12, bytes([frame]) * 4096)
        users = [memory.machine_page(frame) for frame in frames] if shared else []
        for frame, page in zip(frames, users, strict=False):
            memory.forbid_stores(frame)
            machine.machine.share(page)
        state = machine.vcpu.state
        state.tlb_hi[0], state.tlb_compared[0] = 0xC000_0000, 0xFFFF_E000
        state.tlb_lo0[0], state.tlb_lo1[0] = (frame << 6 | LOW_BITS for frame in frames)
        assert machine.run() == "stop WAIT"
        vcpu = machine.vcpu
        tables = vcpu.tables if isinstance(vcpu, SystemVcpu) else None
        others = (ctypes.c_uint32 * len(frames))(*(page + 1 for page in users))
        audit(machine.machine, [Tenant(memory, tables)], [others])
        return Result(
            list(state.gpr)[:32],
            memory.read(MEMORY.start << 12, len(MEMORY) << 12),
            [memory.machine_page(frame) for frame in frames],
            state.fills,
            vcpu.adjacent_pages.joined if isinstance(vcpu, SystemVcpu) else 0,
        )
    finally:
        machine.close()


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("pages", PAGES)
def test_straddled_pages_are_put_side_by_side(pages: str, big_endian: bool) -> None:
    expected = run("reference", big_endian, PAGES[pages])
    found = run("translator", big_endian, PAGES[pages])
    assert found[:2] == expected[:2]
    first, second = found.machine_pages
    can_be_joined = pages not in ("side by side", "one page twice")
    assert found.joined == can_be_joined
    if pages != "one page twice":
        assert second == first + 1
        assert found.fills < 100


def test_pages_that_others_use_stay() -> None:
    """The first store to the second page gives the virtual machine a copy of that; the first page is only read."""
    expected = run("reference", False, PAGES["scattered"], shared=True)
    found = run("translator", False, PAGES["scattered"], shared=True)
    assert found[:2] == expected[:2]
    assert found.joined == 0
