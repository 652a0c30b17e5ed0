"""The exception handlers of random kernels: whatever happens, they see to it that something goes on.

Refills come from a page table; other TLB exceptions make the page valid and writable in place; interrupts are
acknowledged, and the timer is set anew; a coprocessor is made usable; everything else is stepped over, or ends in
another context: an address, a mode and an address space taken at random from a table.
"""

from __future__ import annotations

import struct

from tests.conformance.assembler import assemble

DATA = 0x2000
"""Physical address of the handlers' data."""
_SAVED = 0x2010
_RANDOM = 0x2000
_DISPATCH = 0x2100
CONTEXTS = 0x3000
"""Physical address of records {EPC, Status, EntryHi, EBase}."""
CONTEXT_COUNT = 64
PAGE_TABLE = 0x10_0000
"""Physical address of pairs of EntryLo, by the low bits of VPN2."""
PAGE_TABLE_PAIRS = 1024
_COMMON = 0x400
_BOOTSTRAP = 0x1FC0_0200

_REFILL = """
    mfc0.bad_virtual_address r26
    srl r26, r26, 13
    andi r26, r26, 0x3ff
    sll r26, r26, 3
    lui r27, 0x8010
    addu r27, r27, r26
    lw r26, 0(r27)
    mtc0.entry_lo0 r26
    lw r26, 4(r27)
    mtc0.entry_lo1 r26
    tlbwr
    eret
"""

_GENERAL = """
common:
    lui r26, 0x8000
    sw r8, 0x2010(r26)
    sw r9, 0x2014(r26)
    sw r10, 0x2018(r26)
    lw r10, 0x2000(r26)         # the next random number
    lui r8, 0x41c6
    ori r8, r8, 0x4e6d
    mul r10, r10, r8
    addiu r10, r10, 12345
    sw r10, 0x2000(r26)
    mfc0.cause r27
    andi r8, r27, 0x7c
    addu r8, r8, r26
    lw r9, 0x2100(r8)
    jr r9
    nop

interrupt:
    ext r8, r27, 30, 1
    beq r8, r0, soft
    nop
    srl r8, r10, 16
    andi r8, r8, 0x1ff
    mfc0.count r9
    addu r9, r9, r8
    addiu r9, r9, 60
    mtc0.compare r9
soft:
    mfc0.cause r8
    ins r8, r0, 8, 2
    mtc0.cause r8
    srl r8, r10, 28
    beq r8, r0, switch
    nop
    j restore
    nop

tlb:
    tlbp
    mfc0.index r8
    bltz r8, refill
    nop
    tlbr
    mfc0.entry_lo0 r8
    ori r8, r8, 6
    mtc0.entry_lo0 r8
    mfc0.entry_lo1 r8
    ori r8, r8, 6
    mtc0.entry_lo1 r8
    tlbwi
    j restore
    nop

refill:
    mfc0.bad_virtual_address r8
    srl r8, r8, 13
    andi r8, r8, 0x3ff
    sll r8, r8, 3
    lui r9, 0x8010
    addu r9, r9, r8
    lw r8, 0(r9)
    mtc0.entry_lo0 r8
    lw r8, 4(r9)
    mtc0.entry_lo1 r8
    tlbwr
    j restore
    nop

coprocessor:
    ext r8, r27, 28, 2
    addiu r8, r8, -1
    bne r8, r0, skip
    nop
    mfc0.status r8
    addiu r9, r0, -1
    ins r8, r9, 29, 1           # CU1
    srl r9, r10, 20
    ins r8, r9, 26, 1           # FR
    mtc0.status r8
    mfc0.status r8
    ext r8, r8, 29, 1
    bne r8, r0, restore         # else there is no FPU
    nop
skip:
    bltz r27, switch
    nop
    mfc0.epc r8
    andi r9, r8, 3
    bne r9, r0, switch
    srl r9, r10, 29
    beq r9, r0, switch
    addiu r8, r8, 4
    mtc0.epc r8
restore:
    lw r8, 0x2010(r26)
    lw r9, 0x2014(r26)
    lw r10, 0x2018(r26)
    eret

switch:
    mfc0.cause r8
    ins r8, r0, 27, 1           # DC
    mtc0.cause r8
    mfc0.count r9
    addiu r9, r9, 400
    mtc0.compare r9
    srl r8, r10, 12
    andi r8, r8, 0x3f
    sll r8, r8, 4
    addu r8, r8, r26
    lw r9, 0x3000(r8)
    mtc0.epc r9
    mtc0.error_epc r9
    lw r9, 0x3008(r8)
    mtc0.entry_hi r9
    lw r9, 0x300c(r8)
    mtc0.ebase r9
    lw r9, 0x3004(r8)
    ori r9, r9, 2
    mtc0.status r9
    j restore
    nop
"""

_HANDLER_OF_CODE = {0: "interrupt", 1: "tlb", 2: "tlb", 3: "tlb", 8: "switch", 11: "coprocessor"}


def words_of(text: str, base: int) -> tuple[list[int], dict[str, int]]:
    """Assemble lines with labels and comments for an address; the words, and the labels' addresses."""
    lines, labels = [], {}
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line.endswith(":"):
            labels[line[:-1]] = base + 4 * len(lines)
        elif line:
            lines.append(line)
    words = []
    for number, line in enumerate(lines):
        here = base + 4 * number
        *operands, last = line.split()
        if last in labels:
            target = labels[last]
            place = target >> 2 & 0x03FF_FFFF if operands[0] == "j" else (target - here - 4) // 4
            line = " ".join([*operands, str(place)])
        words.append(assemble(line))
    return words, labels


def memory_image() -> dict[int, list[int]]:
    """Physical address → words."""
    general, labels = words_of(_GENERAL, _COMMON)
    jump = [assemble(f"j {_COMMON >> 2}"), 0]
    far = [assemble("lui r26, 0x8000"), assemble(f"ori r26, r26, {_COMMON}"), assemble("jr r26"), 0]
    refill = words_of(_REFILL, 0)[0]
    dispatch = [0x8000_0000 | labels[_HANDLER_OF_CODE.get(code, "skip")] for code in range(32)]
    image = {_COMMON: general, _DISPATCH: dispatch}
    for base in (0, 0x1000):
        image |= {base: refill, base + 0x180: jump, base + 0x200: jump}
    return image | {_BOOTSTRAP: refill, _BOOTSTRAP + 0x180: far, _BOOTSTRAP + 0x200: far}


def to_bytes(words: list[int], big_endian: bool) -> bytes:
    return struct.pack(f"{'>' if big_endian else '<'}{len(words)}I", *words)
