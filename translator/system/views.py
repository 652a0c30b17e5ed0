"""The layout of the translation tables: how generated code finds the host page of a virtual page.

A *view* is what one privilege level sees in one address space: three tables (load, store, fetch) of one 64-bit slot
for each of the 2^20 virtual pages; 0 is "not translated". A slot for data is host page - virtual page; for fetches
it is what the entries of the page lie at, less four times the virtual page, so that address + slot, or 4 * address +
slot, is where to go. All slots lie in one host memory object. Its linear mapping has the user half of every
space, then the kernel half; a view maps the parts that its level may use, and nothing elsewhere.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

KERNEL_ADDRESSES: Final = 0x8000_0000
"""From here on, user programs cannot be."""
PAGE_SHIFT: Final = 12
SLOT_SHIFT: Final = 3
TABLE_SHIFT: Final = 20 + SLOT_SHIFT
"""Size of a table, in a view."""
HALF_SHIFT: Final = 19
"""Slots of the user or the kernel half of a table."""
TABLES: Final = 3
VIEW_SHIFT: Final = 25
SPACES: Final = 257
"""256 ASIDs, and one for Status.ERL = 1, where KUSEG is physical memory."""
SPACE_UNMAPPED: Final = 256
SPACES_SHIFT: Final = 9


class Level(IntEnum):
    """Privilege level; view number = level << SPACES_SHIFT | space."""

    KERNEL = 0
    SUPERVISOR = 1
    USER = 2


def half_slots(space: int) -> int:
    """Number of the first slot of a space's user half (SPACES: the kernel half) in the linear mapping."""
    return space * TABLES << HALF_SHIFT


def slot_number(space: int, virtual_page: int, table: int) -> int:
    """Number of a virtual page's slot, in a table (an `Access`) of an address space, in the linear mapping."""
    half = SPACES if virtual_page >> HALF_SHIFT else space
    return half_slots(half) + (table << HALF_SHIFT) + (virtual_page & (1 << HALF_SHIFT) - 1)


SLOTS: Final = half_slots(SPACES + 1)

BLOCK_SHIFT: Final = 9
"""Slots of a *block*, a page of host memory, of each of which a byte tells:"""
BLOCK_FILLED: Final = 1
"""Some slots have been filled since it was emptied."""
BLOCK_IN_WINDOW: Final = 2
"""Some of the pages may be in a window (`windows.py`)."""

# A word of pmap: the host address of the machine page, and in its low bits:
PMAP_WRITABLE: Final = 1
"""The machine page is the virtual machine's own."""

# A byte per machine page.
MACHINE_CODE: Final = 1
"""Code of the page has been decoded: no store slot may lead to it."""

MACHINE_REGIONS: Final = 2
"""Regions have been translated from it: every store to it is Python's affair."""

MACHINE_WAS_DATA: Final = 4
"""The page has been taken for data after having been code."""

ENTRIES_SHIFT: Final = 15
"""The predecoded entries of a machine page: 1024, then the sentinel that leads to the next virtual page."""
SENTINEL: Final = 1 << 14
"""Offset of the sentinel."""

PRIVILEGED_PAGE: Final = 0xFFFF_E000
"""Virtual address of the privileged-register page."""
