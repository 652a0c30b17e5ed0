"""Machine memory: the pages all virtual machines live in, one contiguous host mapping.

A machine page is known by its number. What is kept of each one lies in flat arrays that generated code reads, too:
its flags, how many physical pages it is mapped at, and the predecoded entries of the code in it.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    discard_memory,
    map_memory,
    unmap_memory,
)
from translator.system.views import ENTRIES_SHIFT, MACHINE_CODE

_FIRST_BUDGET: Final = 64
_ENTRIES_USED: Final = (1 << 14) + 16
"""Bytes of a page's entries, sentinel included."""


class OutOfMachineMemory(OSError):
    """There is no free machine page."""

    def __init__(self, pages: int) -> None:
        super().__init__(errno.ENOMEM, f"the machine's {pages * MACHINE_PAGE_SIZE >> 20} MB are all in use")


class MachineMemory:
    """`size` bytes of memory, in pages; pages are zero when they are allocated."""

    def __init__(self, size: int) -> None:
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.pages: Final = size >> MACHINE_PAGE_SHIFT
        self._size: Final = self.pages << MACHINE_PAGE_SHIFT
        self.base: Final = map_memory(0, self._size, PROT_READ | PROT_WRITE, flags)
        """Host address of machine address 0."""
        self._entries_size: Final = self.pages << ENTRIES_SHIFT
        self.entries_base: Final = map_memory(0, self._entries_size, PROT_READ | PROT_WRITE, flags)
        """Host address of the predecoded entries of page 0."""
        self.flags: Final = (ctypes.c_uint8 * self.pages)()
        """MACHINE_CODE of every page."""
        self.store_budgets: Final = (ctypes.c_uint16 * self.pages)()
        """How many more stores to a page's code are done one by one before the page is taken for data."""
        self.users: Final = (ctypes.c_uint32 * self.pages)()
        """How many physical pages (and caches) each page is mapped at; 0: free."""
        self._times_data: dict[int, int] = {}
        self._free: list[int] = []
        self._untouched = 0

    def close(self) -> None:
        """Give everything back to the host."""
        unmap_memory(self.base, self._size)
        unmap_memory(self.entries_base, self._entries_size)

    @property
    def allocated(self) -> int:
        """Pages in use."""
        return self._untouched - len(self._free)

    def times_data(self, page: int | None) -> int:
        """How often a page with code has turned out to be data."""
        return 0 if page is None else self._times_data.get(page, 0)

    def allocate(self) -> int:
        """A page of zeros with one user; `OutOfMachineMemory` if there is none."""
        if self._free:
            page = self._free.pop()
        elif self._untouched < self.pages:
            page = self._untouched
            self._untouched += 1
        else:
            raise OutOfMachineMemory(self.pages)
        self.users[page] = 1
        return page

    def share(self, page: int) -> None:
        """One more user of a page, which nobody may write any more."""
        self.users[page] += 1

    def release(self, page: int) -> None:
        """One user less; without any the page is free, and its contents are gone."""
        self.users[page] -= 1
        if not self.users[page]:
            self.forget_code(page)
            self._times_data.pop(page, None)
            discard_memory(self.address(page), MACHINE_PAGE_SIZE)
            self._free.append(page)

    def address(self, page: int) -> int:
        """Host address of a page."""
        return self.base + (page << MACHINE_PAGE_SHIFT)

    def page_at(self, host: int) -> int:
        """The page at a host address."""
        return host - self.base >> MACHINE_PAGE_SHIFT

    def mark_code(self, page: int) -> None:
        """Code of the page may be decoded from now on; nobody may store to it without `forget_code`."""
        self.flags[page] |= MACHINE_CODE
        self.store_budgets[page] = min(_FIRST_BUDGET << 2 * self._times_data.get(page, 0), 0xFFFF)

    def take_for_data(self, page: int) -> None:
        """A page has used up its budget: when it is code again, let it have a larger one."""
        self._times_data[page] = min(self._times_data.get(page, 0) + 1, 8)

    def forget_code(self, page: int) -> None:
        """Empty the predecoded entries of a page."""
        if self.flags[page] & MACHINE_CODE:
            self.flags[page] &= ~MACHINE_CODE
            ctypes.memset(self.entries(page), 0, _ENTRIES_USED)

    def entries(self, page: int) -> int:
        """Host address of the entries of a page."""
        return self.entries_base + (page << ENTRIES_SHIFT)

    def forget_all_code(self) -> None:
        """Empty all entries, as what they depend on has changed."""
        for page in range(self._untouched):
            self.forget_code(page)
