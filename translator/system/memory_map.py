"""The layout of what is kept of machine pages: `memmap`, beside the `pmap` of every virtual machine.

All is in flat arrays, mostly of 32-bit numbers, which Python and the routines of `page_mapping` both work on:

- *users* of each machine page: physical pages it is mapped at, and caches that hold it; 0: free;
- its *back map*: a doubly linked list of the physical pages it is mapped at. A physical page of a virtual machine is
  known by its *place*, virtual machine << 20 | page number, and has one link at that number, wherever it leads: nothing
  is ever allocated for a record. The list begins in *heads*; place 0 is none, as virtual machines count from 1;
- on a machine of several nodes, *counts* of sampled accesses, for each node a {u8 loads and fetches, u8 stores} of each
  page, and how often each page has *moved* lately, a u8; all 0 of a free page.

A free page's head is the next free page of its node's list: the *dirty* ones hold what they held, the *clean* ones
zeros. A page with decoded code that nobody uses any more is *buried*: linked in the same way, but not free before
Python has dropped what is derived from it. Lists of pages, here and in arguments, hold *entries*: the number of the
page + 1, or 0 for none.
"""

from __future__ import annotations

import ctypes
from typing import Final

NODES_MAX: Final = 16
VIRTUAL_MACHINES_MAX: Final = 100
"""The windows of each take 1 TB of the host's 128 TB of addresses."""
PLACE_SHIFT: Final = 20
"""Of the virtual machine's number in a place."""
LINK_SIZE: Final = 8
"""Bytes of a link: {u32 next place, u32 previous place}."""

LARGE_PAGE_SIZE: Final = 1 << 21
"""Of the host's large pages."""

COUNT_SHIFT: Final = 1
"""Of a page's number in the counts of a node."""

_PerNode = ctypes.c_uint32 * NODES_MAX


class MemoryMap(ctypes.Structure):
    """`memmap`, as the native routines are told of it."""

    _fields_ = [
        ("machine_base", ctypes.c_uint64),  # host address of machine address 0
        ("users", ctypes.c_uint64),  # host address of the u32 per page
        ("heads", ctypes.c_uint64),  # host address of the u32 per page
        ("links", ctypes.c_uint64),  # host address of the link of place 0
        ("code_flags", ctypes.c_uint64),  # host address of the byte per page (`views`)
        ("frozen_at", ctypes.c_uint64),  # host address of the u32 per physical page: `DecodedPages.frozen_at`
        (
            "copied_at",
            ctypes.c_uint64,
        ),  # host address of the u32 per physical page: `MachineMemory.copied_at`
        ("nodes", ctypes.c_uint32),
        ("node_pages", ctypes.c_uint32),  # pages of each node; page // node_pages is the node
        ("all_dirty", ctypes.c_uint32),  # dirty pages on all nodes
        ("buried", ctypes.c_uint32),  # first entry of the list
        (
            "counts",
            ctypes.c_uint64,
        ),  # host address of the sampled accesses (`access_counts`); 0: none are sampled
        ("counts_size", ctypes.c_uint64),  # bytes of one node's
        ("moves", ctypes.c_uint64),  # host address of the u8 per page: how often it has moved lately
        ("dirty", _PerNode),  # first entry of the list
        ("clean", _PerNode),  # first entry of the list
        ("untouched", _PerNode),  # so many of the node's pages have been in use ever
        ("free", _PerNode),  # pages on both lists
        ("ring", ctypes.c_uint64),  # what to write …
        ("bell", ctypes.c_int32),  # … to this descriptor when a large page has been begun; less than 0: none
    ]


class PhysicalMap(ctypes.Structure):
    """A virtual machine's `pmap`, and where translations to its physical pages are."""

    _fields_ = [
        ("pmap", ctypes.c_uint64),  # host address of the word per physical page (`views`)
        ("is_memory", ctypes.c_uint64),  # host address of the byte per physical page
        ("slots", ctypes.c_uint64),  # of the vCPU's tables; see `CpuState.slots_base`
        ("slot_heads", ctypes.c_uint64),  # see `CpuState.back_map_heads`; 0: there are no tables
        ("slot_records", ctypes.c_uint64),
        ("slot_blocks", ctypes.c_uint64),
        ("windows", ctypes.c_uint64),  # see `CpuState.windows_base`
        ("window_places", ctypes.c_uint64),
        ("first_place", ctypes.c_uint32),  # number of the virtual machine << PLACE_SHIFT
        ("node", ctypes.c_uint32),  # where its memory is taken from, as long as there is some
        ("mapped", ctypes.c_uint32),  # physical pages that have a machine page
        ("unused", ctypes.c_uint32),
    ]
