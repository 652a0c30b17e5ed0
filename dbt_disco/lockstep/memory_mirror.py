"""Keeping a second address space equal to the first."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runtime.address_space import PAGE_SIZE, READ, WRITE, AddressSpace, GuestFault

if TYPE_CHECKING:
    from runtime.region_map import Region

_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


class MemoryMirror:
    """A copy of an address space: private memory, whatever is mapped in the original.

    What others do to files or memory that the original shares with them shows in the original only.
    """

    def __init__(self, original: AddressSpace) -> None:
        self.original = original
        self.copy = AddressSpace()
        self._regions: list[Region] = []
        self._version = -1

    def differing_pages(self) -> Iterator[int]:
        """Addresses of the pages that the guest may write and whose contents differ."""
        for region in self._regions:
            if region.protection & WRITE and not region.shared:
                yield from self._differing(region)

    def update(self) -> None:
        """Bring the copy up to date: mappings, if any have changed, and contents."""
        if self._version != self.original.version:
            self._update_mappings()
            regions = self._regions
        else:
            regions = [region for region in self._regions if region.protection & WRITE]
        for region in regions:
            for page in self._differing(region):
                self._copy_page(page, region.protection)

    def _update_mappings(self) -> None:
        self._version = self.original.version
        wanted = list(self.original.regions)
        kept = {(region.start, region.end, region.protection) for region in self._regions}
        kept &= {(region.start, region.end, region.protection) for region in wanted}
        for region in self._regions:
            if (region.start, region.end, region.protection) not in kept:
                self.copy.unmap(region.start, region.end - region.start)
        for region in wanted:
            if (region.start, region.end, region.protection) not in kept:
                length = region.end - region.start
                self.copy.map_anonymous(region.start, length, region.protection, name=region.name)
        self._regions = wanted

    def _differing(self, region: Region) -> Iterator[int]:
        """Addresses of the region's pages that differ; pages that nobody may read are left out."""
        if not region.protection:
            return
        if not region.is_file:
            first, second = self.original.base + region.start, self.copy.base + region.start
            if _libc.memcmp(first, second, region.end - region.start) == 0:
                return
        for page in range(region.start, region.end, PAGE_SIZE):
            if self._contents(self.original, page) != self._contents(self.copy, page):
                yield page

    def _contents(self, space: AddressSpace, page: int) -> bytes:
        """A page's bytes; behind the end of a mapped file there are none, which counts as zeros."""
        try:
            return space.read(page, PAGE_SIZE)
        except GuestFault:
            return bytes(PAGE_SIZE)

    def _copy_page(self, page: int, protection: int) -> None:
        contents = self._contents(self.original, page)
        if not protection & WRITE:
            self.copy.protect(page, PAGE_SIZE, READ | WRITE)
        self.copy.write(page, contents)
        if not protection & WRITE:
            self.copy.protect(page, PAGE_SIZE, protection)
