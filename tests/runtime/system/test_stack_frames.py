"""Stack pointers in regions that move in a page, over its ends, into read-only and missing pages, and by surprise."""

from __future__ import annotations

import pytest

from tests.runtime.system.test_remembered_pages import Walk, run


def frames(*body: str, start: int = 0x10, count: int = 2500) -> Walk:
    """A loop in which r29 moves."""
    return Walk(body, start, count, register=29)


WALKS = {
    "down": frames(
        "addiu r29, r29, -40",
        "sw r6, 0(r29)",
        "sh r6, 38(r29)",
        "lw r4, 0(r29)",
        "addu r3, r3, r4",
        "addiu r29, r29, 32",
        start=0x3FF8,
        count=1900,
    ),
    "up, until it is read-only": frames("sw r6, 24(r29)", "lbu r4, 25(r29)", "addiu r29, r29, 8"),
    "up, until there is nothing": frames(
        "lw r4, 24(r29)", "addu r3, r3, r4", "addiu r29, r29, 8", count=3000
    ),
    "out and back": frames(
        "addiu r29, r29, -2040",
        "sw r3, 4(r29)",
        "lw r4, 8(r29)",
        "addiu r29, r29, 2040",
        "sw r6, 12(r29)",
        "addu r3, r3, r4",
        "addiu r29, r29, -8",
        start=0x3FE0,
        count=1600,
    ),
    "by half its alignment": frames("addiu r29, r29, 4", "lw r4, 4(r29)", "addu r3, r3, r4", "sw r3, 8(r29)"),
    "misaligned at last": frames(
        "lw r4, 0(r29)",
        "sw r4, 4(r29)",
        "slti r5, r6, 100",
        "addu r29, r29, r5",
        "addiu r29, r29, 8",
        count=1000,
    ),
    "misaligned displacements": frames(
        "lb r4, 3(r29)", "lw r5, 2(r29)", "addu r3, r3, r5", "addiu r29, r29, 8", start=0x12
    ),
    "far and negative displacements": frames(
        "lw r4, 508(r29)", "lw r5, 1000(r29)", "sw r6, -4(r29)", "addu r3, r4, r5", "addiu r29, r29, 8"
    ),
    "loaded": frames("lw r29, 0x7f8(r29)", "addiu r29, r29, 8", "lw r4, 16(r29)", "addu r3, r3, r4", start=8),
    "chosen": frames(
        "addiu r5, r29, 4088", "andi r7, r6, 512", "movn r29, r5, r7", "lw r4, 4(r29)", "addiu r29, r29, 8"
    ),
    "a fault in a delay slot": frames(
        "addiu r29, r29, 8", "beq r0, r0, on", "sw r6, 16(r29)", "on:", "lw r4, 0(r29)"
    ),
    "moved in a delay slot": frames(
        "lw r4, 0(r29)", "beq r0, r0, on", "addiu r29, r29, 8", "on:", "sw r4, 8(r29)"
    ),
    "moved if the branch is taken": frames(
        "andi r5, r6, 3", "bnel r5, r0, on", "addiu r29, r29, 8", "on:", "sw r6, 8(r29)", "lw r4, 4(r29)"
    ),
    "another name of the page": frames(
        "lui r7, 0x8003", "sw r6, 0x20(r7)", "lw r4, 0x10(r29)", "addu r3, r3, r4", "sw r3, 0x14(r29)"
    ),
}


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("name", WALKS)
def test_frames(name: str, big_endian: bool) -> None:
    walk = WALKS[name]
    expected = run("reference", walk, big_endian)
    found = run("translator", walk, big_endian)
    assert found[:3] == expected[:3]
    assert found[3] > walk.count, "it has hardly run in regions"
