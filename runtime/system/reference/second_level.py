"""The second-level TLB: what `tlbwr` has evicted, as `translator.system.second_level` has it.

Which entry makes room for which is no matter of right or wrong, but it must be the same in every engine.
"""

from __future__ import annotations

from typing import Final

from translator.state import SECOND_LEVEL_EMPTY, SECOND_LEVEL_SIZE, CpuState
from translator.system.second_level import GLOBAL, ORIGIN_UNKNOWN

__all__ = ["GLOBAL", "ORIGIN_UNKNOWN", "SecondLevel"]

_VPN2: Final = 0xFFFF_E000


def _first_way(key: int) -> int:
    """The first of the two places that an entry can have."""
    return (key >> 13 ^ (key & 0x1FF) * 0x9D ^ key >> 21) & SECOND_LEVEL_SIZE - 2


class SecondLevel:
    """The entries in a CPU state. A key is VPN2 | ASID, or VPN2 | GLOBAL; those of one origin form a ring."""

    def __init__(self, state: CpuState) -> None:
        self._state = state

    def find(self, key: int) -> int | None:
        """The entry that translates VPN2 | ASID: a global one, or its own."""
        shared = self._find_exactly(key & _VPN2 | GLOBAL)
        return self._find_exactly(key) if shared is None else shared

    def entry_lo(self, number: int, address: int) -> int:
        """EntryLo of the page of an address that the entry translates."""
        return int((self._state.second_lo1 if address & 0x1000 else self._state.second_lo0)[number])

    def insert(self, key: int, low0: int, low1: int, origin: int) -> None:
        """Keep what was in TLB entry `origin`."""
        state = self._state
        self.drop(key)
        number = _first_way(key)
        if state.second_hi[number] != SECOND_LEVEL_EMPTY:
            number += 1
            if state.second_hi[number] != SECOND_LEVEL_EMPTY:
                self._remove(number)
        state.second_hi[number], state.second_lo0[number], state.second_lo1[number] = key, low0, low1
        head = SECOND_LEVEL_SIZE + origin
        following = state.second_next[head]
        state.second_next[number], state.second_previous[number] = following, head
        state.second_next[head] = state.second_previous[following] = number

    def drop(self, key: int) -> None:
        """Forget what translates VPN2 | ASID."""
        for each in (key, key & _VPN2 | GLOBAL):
            known = self._find_exactly(each)
            if known is not None:
                self._remove(known)

    def observe(self, index: int) -> None:
        """The guest gets to know what TLB entry `index` holds; in the end it has seen all that may be overwritten."""
        state = self._state
        self.drop_origin(index)
        state.tlb_known |= 1 << index
        state.tlb_observed |= 1 << index
        if all(state.tlb_observed >> n & 1 for n in range(state.wired_most, state.tlb_last + 1)):
            self.drop_origin(ORIGIN_UNKNOWN)
            state.tlb_observed = 0
            state.wired_most = state.wired

    def drop_origin(self, origin: int) -> None:
        """Forget everything that was in TLB entry `origin`."""
        head = SECOND_LEVEL_SIZE + origin
        while self._state.second_next[head] != head:
            self._remove(self._state.second_next[head])

    def _find_exactly(self, key: int) -> int | None:
        first = _first_way(key)
        for number in (first, first + 1):
            if self._state.second_hi[number] == key:
                return number
        return None

    def _remove(self, number: int) -> None:
        state = self._state
        following, previous = state.second_next[number], state.second_previous[number]
        state.second_next[previous], state.second_previous[following] = following, previous
        state.second_hi[number] = SECOND_LEVEL_EMPTY
