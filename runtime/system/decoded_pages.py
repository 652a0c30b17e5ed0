"""What has been decoded of the code in machine pages, for the one virtual machine that runs it.

Virtual machines that share a page each have their own: entries name handlers and regions that depend on the engine,
its clock and the FPU's register mode, and are emptied when the virtual machine that decoded them thinks so.
What is kept of each page lies in flat arrays that generated code reads, too.
"""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    map_memory,
    unmap_memory,
)
from translator.system.views import ENTRIES_SHIFT, MACHINE_CODE, MACHINE_WAS_DATA

_FIRST_BUDGET: Final = 64
_LARGEST_BUDGET: Final = 0xFFFF
_MOST_TIMES: Final = 8
_ENTRIES_USED: Final = (1 << 14) + 16
"""Bytes of a page's entries, sentinel included."""


class DecodedPages:
    """Flags, predecoded entries and the history of every machine page, by its number."""

    def __init__(self, pages: int) -> None:
        self._size: Final = pages << ENTRIES_SHIFT
        self.entries_base: Final = map_memory(
            0, self._size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        )
        """Host address of the predecoded entries of page 0."""
        self.flags: Final = (ctypes.c_uint8 * pages)()
        """MACHINE_CODE, _REGIONS and _WAS_DATA of every page; if any is set, `forget_page` when it goes."""
        self.store_budgets: Final = (ctypes.c_uint16 * pages)()
        """How many more stores to a page's code are done one by one before the page is taken for data."""
        self._times_data: dict[int, int] = {}

    def close(self) -> None:
        """Give everything back to the host."""
        unmap_memory(self.entries_base, self._size)

    def entries(self, page: int) -> int:
        """Host address of the entries of a page."""
        return self.entries_base + (page << ENTRIES_SHIFT)

    def times_data(self, page: int | None) -> int:
        """How often a page with code has turned out to be data."""
        return 0 if page is None else self._times_data.get(page, 0)

    def mark_code(self, page: int) -> None:
        """Code of the page may be decoded from now on; nobody may store to it without `forget_code`."""
        self.flags[page] |= MACHINE_CODE
        self.store_budgets[page] = min(_FIRST_BUDGET << 2 * self.times_data(page), _LARGEST_BUDGET)

    def take_for_data(self, page: int) -> None:
        """A page has used up its budget: when it is code again, let it have a larger one."""
        self._times_data[page] = min(self.times_data(page) + 1, _MOST_TIMES)
        self.flags[page] |= MACHINE_WAS_DATA

    def forget_code(self, page: int) -> None:
        """Empty the predecoded entries of a page."""
        if self.flags[page] & MACHINE_CODE:
            self.flags[page] &= ~MACHINE_CODE
            ctypes.memset(self.entries(page), 0, _ENTRIES_USED)

    def forget_page(self, page: int) -> None:
        """The virtual machine has the page no more; if it gets it again, it is another one."""
        self.forget_code(page)
        self._times_data.pop(page, None)
        self.flags[page] = 0
