"""Reading guest memory by virtual address, as the guest's kernel would, without the guest noticing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE, PhysicalAddress, VirtualAddress
from translator.cp0_registers import EntryLo, Status
from translator.state import SECOND_LEVEL_SIZE
from translator.system.second_level import GLOBAL

if TYPE_CHECKING:
    from runtime.system.physical_memory import PhysicalMemory
    from translator.state import CpuState

_LARGEST_PAGE_PAIR: Final = 0x1FFF_FFFF
_ADDRESS_MASK: Final = 0xFFFF_FFFF


class NotMapped(Exception):
    """The guest's TLB has nothing for a virtual address, or the guest may not use it."""


def read_virtual(state: CpuState, memory: PhysicalMemory, address: int, length: int) -> Iterator[bytes]:
    """The bytes of a range, page by page. `NotMapped`, or the memory's `NotMemory`, where there are none."""
    while length > 0:
        count = min(length, MACHINE_PAGE_SIZE - address % MACHINE_PAGE_SIZE)
        yield memory.read(physical_address(state, VirtualAddress(address)), count)
        address = address + count & _ADDRESS_MASK
        length -= count


def physical_address(state: CpuState, address: VirtualAddress) -> PhysicalAddress:
    """Where a load from `address` goes, in the guest's present mode; `NotMapped` if it would raise an exception.

    What the second-level TLB holds counts as mapped: for all the guest knows it is in its TLB still.
    """
    status = state.status
    is_kernel = bool(status & (Status.ERL | Status.EXL)) or not status & Status.KSU
    in_user_half = address < 0x8000_0000
    in_supervisor_segment = address >> 29 == 6
    if not (is_kernel or in_user_half or (in_supervisor_segment and status & Status.KSU == Status.SM)):
        raise NotMapped
    if address >> 30 == 2:  # KSEG0 and KSEG1
        return PhysicalAddress(address & 0x1FFF_FFFF)
    if in_user_half and status & Status.ERL:
        return PhysicalAddress(address)
    low, offset_mask = _entry_low(state, address)
    if not low & EntryLo.V:
        raise NotMapped
    frame = low >> EntryLo.PFN_SHIFT << MACHINE_PAGE_SHIFT & _ADDRESS_MASK
    return PhysicalAddress(frame & ~offset_mask | address & offset_mask)


def _entry_low(state: CpuState, address: int) -> tuple[int, int]:
    """EntryLo of the page that `address` is on, and the mask of the bits of an offset in that page."""
    space = state.entry_hi & 0xFF
    key = address & 0xFFFF_E000 | space
    for index in range(state.tlb_last + 1):
        compared = state.tlb_compared[index]
        if (key ^ state.tlb_hi[index]) & compared == 0:
            offset_mask = (~compared & _LARGEST_PAGE_PAIR | 0x1FFF) >> 1
            lows = state.tlb_lo1 if address & offset_mask + 1 else state.tlb_lo0
            return lows[index], offset_mask
    wanted = {key, address & 0xFFFF_E000 | GLOBAL}
    for index in range(SECOND_LEVEL_SIZE):
        if state.second_hi[index] in wanted:
            lows = state.second_lo1 if address & MACHINE_PAGE_SIZE else state.second_lo0
            return lows[index], MACHINE_PAGE_SIZE - 1
    raise NotMapped
