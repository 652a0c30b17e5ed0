"""The TLB: matching, and its four instructions (MIPS32 PRA vol. III, 4.9; overlaps: the lowest index wins)."""

from __future__ import annotations

from typing import Final

from runtime.system.reference.second_level import GLOBAL, ORIGIN_UNKNOWN, SecondLevel
from translator.cp0_registers import EntryLo
from translator.state import CpuState

VPN2: Final = 0xFFFF_E000
ASID: Final = 0xFF
_PAGE_MASK: Final = 0x1FFF_E000
_PROBE_FAILED: Final = 1 << 31
_NEVER_TRANSLATES: Final = 0x1F00
"""Bits that are set in VPN2 | ASID of entries that nothing has been written to."""


class Tlb:
    """The entries in a CPU state, with the second level behind them."""

    def __init__(self, state: CpuState) -> None:
        self._state = state
        self.second_level: Final = SecondLevel(state)

    def match(self, key: int) -> int | None:
        """The lowest entry that matches VPN2 | ASID."""
        state = self._state
        for index, (hi, compared) in enumerate(zip(state.tlb_hi[:], state.tlb_compared[:], strict=True)):
            if not (key ^ hi) & compared:
                return index
        return None

    def look_up(self, index: int, address: int) -> tuple[int, int]:
        """What entry `index` says about an address it matches: EntryLo, and the physical address."""
        state = self._state
        offset_mask = (~state.tlb_compared[index] & _PAGE_MASK | 0x1FFF) >> 1
        low = state.tlb_lo1[index] if address & offset_mask + 1 else state.tlb_lo0[index]
        frame = low >> EntryLo.PFN_SHIFT << 12 & 0xFFFF_FFFF & ~offset_mask
        return low, frame | address & offset_mask

    # Instructions. What the guest learns about the TLB, the second level must not contradict.

    def probe(self) -> None:
        state = self._state
        key = state.entry_hi & (VPN2 | ASID)
        index = self.match(key)
        if index is None:
            state.index |= _PROBE_FAILED
            self.second_level.drop(key)
        else:
            state.index = index
            self.second_level.observe(index)

    def read(self) -> None:
        state = self._state
        index = state.index & state.tlb_last
        self.second_level.observe(index)
        state.entry_hi = state.tlb_hi[index] & (VPN2 | ASID)
        state.page_mask = ~state.tlb_compared[index] & _PAGE_MASK
        state.entry_lo0, state.entry_lo1 = state.tlb_lo0[index], state.tlb_lo1[index]

    def write_indexed(self) -> None:
        index = self._state.index & self._state.tlb_last
        self.second_level.observe(index)
        self._write(index)

    def write_random(self) -> None:
        """Random steps from the last entry down to Wired, at each of these instructions."""
        state = self._state
        index = state.random
        was_known = state.tlb_known >> index & 1
        state.tlb_known &= ~(1 << index)
        if state.random_read:
            self.second_level.observe(index)
        else:
            self._evict(index, index if was_known else ORIGIN_UNKNOWN)
        state.random_read = 0
        self._write(index)
        state.random = state.tlb_last if index <= state.wired else index - 1

    def _evict(self, index: int, origin: int) -> None:
        """Keep an entry that is about to be overwritten, if the second level can hold it."""
        state = self._state
        hi, compared = state.tlb_hi[index], state.tlb_compared[index]
        is_small = compared & VPN2 == VPN2
        if not is_small or hi & _NEVER_TRANSLATES or hi >> 30 == 2:
            return
        key = hi if compared & ASID else hi & VPN2 | GLOBAL
        self.second_level.insert(key, state.tlb_lo0[index], state.tlb_lo1[index], origin)

    def _write(self, index: int) -> None:
        """EntryHi, PageMask, EntryLo0 and EntryLo1 become entry `index`."""
        state = self._state
        page_mask = state.page_mask & _PAGE_MASK
        is_global = state.entry_lo0 & state.entry_lo1 & EntryLo.G
        hi = state.entry_hi & (VPN2 | ASID) & ~page_mask
        self.second_level.drop(hi)
        state.tlb_hi[index] = hi
        state.tlb_compared[index] = ~page_mask & VPN2 | (0 if is_global else ASID)
        state.tlb_lo0[index] = state.entry_lo0 & ~EntryLo.G | is_global
        state.tlb_lo1[index] = state.entry_lo1 & ~EntryLo.G | is_global
