"""The registers of coprocessor 0, in one table: number, select, place in the CPU state, writable bits.

Values and masks are those of QEMU's 24Kf, with UserLocal, 64 TLB entries and Config7.WII (DESIGN section 6).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Cp0Register(NamedTuple):
    """A register that mfc0 and mtc0 reach as (number, select)."""

    name: str
    """Of the mnemonics mfc0.name and mtc0.name."""
    number: int
    select: int
    field: str
    """Its field of the CPU state."""
    writable: int
    """The bits that mtc0 changes."""


_ALL: Final = 0xFFFF_FFFF

CP0_REGISTERS: Final = (
    Cp0Register("index", 0, 0, "index", 0x3F),
    Cp0Register("random", 1, 0, "random", 0),
    Cp0Register("entry_lo0", 2, 0, "entry_lo0", 0x03FF_FFFF),
    Cp0Register("entry_lo1", 3, 0, "entry_lo1", 0x03FF_FFFF),
    Cp0Register("context", 4, 0, "context", 0xFF80_0000),
    Cp0Register("user_local", 4, 2, "user_local", _ALL),
    Cp0Register("page_mask", 5, 0, "page_mask", 0x1FFF_E000),
    Cp0Register("wired", 6, 0, "wired", 0x3F),
    Cp0Register("hwr_enable", 7, 0, "hwr_enable", 0x2000_000F),
    Cp0Register("bad_virtual_address", 8, 0, "bad_virtual_address", 0),
    Cp0Register("count", 9, 0, "count_offset", _ALL),
    Cp0Register("entry_hi", 10, 0, "entry_hi", 0xFFFF_E0FF),
    Cp0Register("compare", 11, 0, "compare", _ALL),
    Cp0Register("status", 12, 0, "status", 0x3678_FF1F),
    Cp0Register("int_ctl", 12, 1, "int_ctl", 0x0000_03E0),
    Cp0Register("srs_map", 12, 3, "srs_map", _ALL),
    Cp0Register("cause", 13, 0, "cause", 0x08C0_0300),
    Cp0Register("epc", 14, 0, "epc", _ALL),
    Cp0Register("prid", 15, 0, "prid", 0),
    Cp0Register("ebase", 15, 1, "ebase", 0x3FFF_F000),
    Cp0Register("config0", 16, 0, "config0", 0x7),
    Cp0Register("config1", 16, 1, "config1", 0),
    Cp0Register("config2", 16, 2, "config2", 0),
    Cp0Register("config3", 16, 3, "config3", 0),
    Cp0Register("config7", 16, 7, "config7", 0),
    Cp0Register("link_physical", 17, 0, "link_physical", 0),
    Cp0Register("tag_lo", 28, 0, "tag_lo", _ALL),
    Cp0Register("data_lo", 28, 1, "data_lo", _ALL),
    Cp0Register("tag_hi", 29, 0, "tag_hi", _ALL),
    Cp0Register("data_hi", 29, 1, "data_hi", _ALL),
    Cp0Register("error_epc", 30, 0, "error_epc", _ALL),
    Cp0Register("desave", 31, 0, "desave", _ALL),
)
"""Registers that are not here read 0 and ignore writes; SRSCtl among them, as there is one register set."""


CONFIG1_FP: Final = 1
"""Config1.FP: there is an FPU."""


class Status:
    """Bits of Status (MIPS32 PRA vol. III, table 9.28)."""

    IE: Final = 1 << 0
    EXL: Final = 1 << 1
    ERL: Final = 1 << 2
    SM: Final = 1 << 3
    UM: Final = 1 << 4
    KSU: Final = SM | UM
    IM: Final = 0xFF00
    BEV: Final = 1 << 22
    FR: Final = 1 << 26
    CU0: Final = 1 << 28
    CU1: Final = 1 << 29


class Cause:
    """Bits of Cause (MIPS32 PRA vol. III, table 9.31)."""

    EXC_CODE_SHIFT: Final = 2
    EXC_CODE: Final = 31 << EXC_CODE_SHIFT
    IP: Final = 0xFF00
    IP7: Final = 1 << 15
    IV: Final = 1 << 23
    DC: Final = 1 << 27
    CE_SHIFT: Final = 28
    CE: Final = 3 << CE_SHIFT
    TI: Final = 1 << 30
    BD: Final = 1 << 31


class EntryLo:
    """Bits of EntryLo0 and EntryLo1."""

    G: Final = 1
    V: Final = 2
    D: Final = 4
    PFN_SHIFT: Final = 6
