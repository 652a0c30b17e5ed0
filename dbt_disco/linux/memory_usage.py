"""How much memory a guest has mapped, by the kinds that Linux counts (mm/mmap.c), and how much is resident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from runtime.address_space import EXEC, PAGE_SHIFT, PAGE_SIZE, WRITE, AddressSpace
from runtime.region_map import Region

STACK: Final = "[stack]"

_PAGEMAP_ENTRY: Final = 8
# Of the uppermost byte of an entry of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
_PRESENT: Final = 0x80
_SWAPPED: Final = 0x40
_FILE_OR_SHARED: Final = 0x20


class MappedMemory(NamedTuple):
    """Bytes of guest addresses."""

    total: int = 0
    data: int = 0
    """Private and writable, the stack apart: what RLIMIT_DATA limits."""
    stack: int = 0
    code: int = 0
    """Executable and not writable."""


def is_data(protection: int, shared: bool, name: str = "") -> bool:
    """Whether a mapping counts as data."""
    return bool(protection & WRITE) and not shared and name != STACK


def mapped_memory(regions: Iterable[Region]) -> MappedMemory:
    """What these regions add up to."""
    total = data = stack = code = 0
    for region in regions:
        size = region.end - region.start
        total += size
        if region.name == STACK:
            stack += size
        elif is_data(region.protection, region.shared):
            data += size
        elif region.protection & EXEC and not region.protection & WRITE:
            code += size
    return MappedMemory(total, data, stack, code)


class ResidentMemory(NamedTuple):
    """Bytes of a range that are in the host's memory, or in its swap."""

    anonymous: int = 0
    file: int = 0
    """Of files, and of shared anonymous memory."""
    swapped: int = 0


def resident_memory(space: AddressSpace, start: int, end: int) -> ResidentMemory:
    """What the host holds of the guest's pages from `start` to `end`."""
    counts = Counter(_page_states(space, start, end))
    pages = [0, 0, 0]
    for state, count in counts.items():
        if state & _PRESENT:
            pages[1 if state & _FILE_OR_SHARED else 0] += count
        elif state & _SWAPPED:
            pages[2] += count
    return ResidentMemory(*(PAGE_SIZE * count for count in pages))


def lowest_used_page(space: AddressSpace, start: int, end: int) -> int:
    """Address of the first page from `start` to `end` that has ever been written to; `end` if there is none."""
    for index, state in enumerate(_page_states(space, start, end)):
        if state & (_PRESENT | _SWAPPED):
            return start + (index << PAGE_SHIFT)
    return end


def _page_states(space: AddressSpace, start: int, end: int) -> bytes:
    """The uppermost byte of each page's entry in the host's page map."""
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek((space.base + start >> PAGE_SHIFT) * _PAGEMAP_ENTRY)
        entries = file.read((end - start >> PAGE_SHIFT) * _PAGEMAP_ENTRY)
    return entries[_PAGEMAP_ENTRY - 1 :: _PAGEMAP_ENTRY]
