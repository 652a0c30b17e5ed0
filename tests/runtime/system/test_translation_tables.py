"""The largest pages that a TLB entry can have: what is dropped with one, and what that costs the host."""

from __future__ import annotations

import pytest

from runtime.system.vcpu import SystemVcpu
from tests.runtime.system.bare_machine import BareMachine, Engine

PROGRAM = (
    # One entry for 512 MB from 0, of all address spaces; what its first half leads to changes at each turn.
    "lui r8, 0x1fff",
    "ori r8, r8, 0xe000",
    "mtc0.page_mask r8",
    "mtc0.index r0",
    "addiu r9, r0, 200",
    "addiu r10, r0, 0x1f",  # EntryLo: from 0, cacheable, dirty, valid, global
    "lui r11, 0x0040",
    "ori r11, r11, 0x801f",
    "turn:",
    "mtc0.entry_hi r9",
    "mtc0.entry_lo0 r10",
    "mtc0.entry_lo1 r11",
    "tlbwi",
    "lui r12, 0x20",
    "lw r13, 4(r12)",
    "addu r2, r2, r13",
    "lui r12, 0x50",
    "lw r13, 8(r12)",
    "xor r3, r3, r13",
    "addu r3, r3, r2",
    "sw r3, 12(r12)",
    "addiu r9, r9, -1",
    "bne r9, r0, turn",
    "nop",
)


def run(engine: Engine, big_endian: bool) -> tuple[list[int], int]:
    """Registers, and bytes of host memory that the translation tables have."""
    machine = BareMachine(engine, big_endian=big_endian)
    try:
        machine.start(*PROGRAM)
        for address, word in ((0x20_0004, 0x1234_5671), (0x50_0008, 0x0BAD_CAFE)):
            machine.memory.write(address, word.to_bytes(4, "big" if big_endian else "little"))
        state = machine.vcpu.state
        assert machine.run() == "stop WAIT"
        vcpu = machine.vcpu
        used = vcpu.tables.memory_in_use() if isinstance(vcpu, SystemVcpu) else 0
        return [*state.gpr][:32], used
    finally:
        machine.close()


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ["interpreter", "translator"])
def test_large_global_pages(engine: Engine, big_endian: bool) -> None:
    """The tables of all address spaces for 512 MB are 800 MB: they are not touched to find that they are empty."""
    expected, _ = run("reference", big_endian)
    registers, used = run(engine, big_endian)
    assert registers == expected
    assert registers[9] == 0, "it ended early"
    assert 0 < used < 4 << 20
