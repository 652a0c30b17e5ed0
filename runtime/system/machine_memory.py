"""Machine memory: the pages all virtual machines live in, one contiguous host mapping.

A machine page is known by its number. Virtual machines on different threads may allocate and share pages.
"""

from __future__ import annotations

import ctypes
import errno
from threading import Lock
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
        self.users: Final = (ctypes.c_uint32 * self.pages)()
        """How many physical pages (and caches) each page is mapped at; 0: free."""
        self._free: list[int] = []
        self._untouched = 0
        self._lock: Final = Lock()

    def close(self) -> None:
        """Give everything back to the host."""
        unmap_memory(self.base, self._size)

    @property
    def allocated(self) -> int:
        """Pages in use."""
        return self._untouched - len(self._free)

    def allocate(self) -> int:
        """A page of zeros with one user; `OutOfMachineMemory` if there is none."""
        with self._lock:
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
        with self._lock:
            self.users[page] += 1

    def release(self, page: int) -> None:
        """One user less; without any the page is free, and its contents are gone."""
        with self._lock:
            self.users[page] -= 1
            if not self.users[page]:
                discard_memory(self.address(page), MACHINE_PAGE_SIZE)
                self._free.append(page)

    def address(self, page: int) -> int:
        """Host address of a page."""
        return self.base + (page << MACHINE_PAGE_SHIFT)

    def page_at(self, host: int) -> int:
        """The page at a host address."""
        return host - self.base >> MACHINE_PAGE_SHIFT
