"""Virtual to physical addresses, by segment, TLB and second-level TLB, anew for every access."""

from __future__ import annotations

from typing import Final

from runtime.reference_cpu import GuestException
from runtime.system.reference.faults import TranslationFault
from runtime.system.reference.mode import address_error, may_access, unmapped
from runtime.system.reference.tlb import ASID, VPN2, Tlb
from translator.cp0_registers import EntryLo
from translator.state import Access, CpuState, ExceptionCode


class AddressTranslation:
    """What one vCPU's addresses mean."""

    def __init__(self, state: CpuState, tlb: Tlb) -> None:
        self._state: Final = state
        self._tlb: Final = tlb

    def physical(self, address: int, access: Access) -> int:
        """The physical address of an access, which is aligned; the exception that it raises."""
        if not may_access(self._state, address):
            raise GuestException(address_error(access), bad_address=address)
        physical = unmapped(self._state, address)
        return self._mapped(address, access) if physical is None else physical

    def _mapped(self, address: int, access: Access) -> int:
        is_store = access is Access.STORE
        code = ExceptionCode.TLBS if is_store else ExceptionCode.TLBL
        key = address & VPN2 | self._state.entry_hi & ASID
        index = self._tlb.match(key)
        if index is None:
            physical = self._from_second_level(key, address, is_store)
            if physical is None:
                self._state.refills += 1
                raise TranslationFault(code, address, is_refill=True)
            return physical
        low, physical = self._tlb.look_up(index, address)
        if not low & EntryLo.V:
            raise TranslationFault(code, address)
        if is_store and not low & EntryLo.D:
            raise TranslationFault(ExceptionCode.MOD, address)
        return physical

    def _from_second_level(self, key: int, address: int, is_store: bool) -> int | None:
        """Where it raises no exception; else the guest gets its refill (DESIGN section 8)."""
        second_level = self._tlb.second_level
        number = second_level.find(key)
        if number is None:
            return None
        low = second_level.entry_lo(number, address)
        needed = EntryLo.V | EntryLo.D if is_store else EntryLo.V
        if low & needed != needed:
            return None
        return low >> EntryLo.PFN_SHIFT << 12 & 0xFFFF_FFFF | address & 0xFFF
