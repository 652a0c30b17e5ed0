"""Machine memory: the pages all virtual machines live in, one contiguous host mapping, cut into nodes.

A machine page is known by its number; nodes have equal shares of the numbers. Who uses each page is in flat arrays
(`translator.system.memory_map`): with the places of all virtual machines 8 + 8 bytes for each page of 4 KB, and 8 more
for each page by which virtual machines have been promised more than there is; with several nodes, 2 for each node, 1,
and 8 for copies (`page_moves`). What virtual machines have done at each physical page takes 8 more, once for all of
them: as much memory as the largest one has.

Virtual machines on different threads allocate and share pages: whatever changes these arrays does so under `lock`. A
virtual machine's own pmap and tables change on the thread that runs it, or while that is known not to run native code.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from threading import RLock
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.flat_array import zeros
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    discard_memory,
    map_memory,
    remove_memory,
    unmap_memory,
)
from runtime.system.access_counts import AccessCounts
from runtime.system.decoded_pages import DecodedPages
from runtime.system.large_pages import LargePagesAhead
from runtime.system.page_routines import EntryList, page_routines
from translator.system.memory_map import (
    LARGE_PAGE_SIZE,
    LINK_SIZE,
    NODES_MAX,
    PLACE_SHIFT,
    VIRTUAL_MACHINES_MAX,
    MemoryMap,
)

_DIRTY_MAX: Final = 2048
"""Free pages whose contents the host still keeps; it takes them back all together."""
_RECLAIMED_TOGETHER: Final = 256
"""Pages asked back at once when there is no free one."""
_LINKS_SIZE: Final = VIRTUAL_MACHINES_MAX + 1 << PLACE_SHIFT + 3
_RESERVED: Final = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
_FRAME_MASK: Final = (1 << PLACE_SHIFT) - 1


class OutOfMachineMemory(OSError):
    """There is no free machine page on any node, and none that could be taken from a cache."""

    def __init__(self, pages: int, nodes: int) -> None:
        size = pages * MACHINE_PAGE_SIZE >> 20
        where = f" on {nodes} nodes" if nodes > 1 else ""
        super().__init__(errno.ENOMEM, f"the machine's {size} MB{where} are all in use")


class TooManyVirtualMachines(OSError):
    """A machine has a limited number of them."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, f"a machine has at most {VIRTUAL_MACHINES_MAX} virtual machines")


class MachineMemory:
    """`size` bytes of memory, rounded down to the same number of whole pages on each of `nodes` nodes."""

    def __init__(
        self, size: int, nodes: int = 1, *, use_cache: bool = True, shares_code: bool = False
    ) -> None:
        """`use_cache`: whether native routines are read from and written to the cache on disk; `shares_code`: whether
        virtual machines that run pages of the same contents are given one of them (`decoded_pages.py`).
        """
        if not 1 <= nodes <= NODES_MAX:
            raise ValueError(f"{nodes} nodes, not 1 to {NODES_MAX}")
        node_pages = size // nodes >> MACHINE_PAGE_SHIFT
        self.nodes: Final = nodes
        self.pages: Final = node_pages * nodes
        self._size: Final = self.pages << MACHINE_PAGE_SHIFT
        self.descriptor: Final = _memory_object(self._size)
        self._reserved: Final = map_memory(0, self._size + LARGE_PAGE_SIZE, PROT_NONE, _RESERVED)
        self.base: Final = -(-self._reserved // LARGE_PAGE_SIZE) * LARGE_PAGE_SIZE
        """Host address of machine address 0; a multiple of the host's large pages."""
        how = MAP_SHARED | MAP_FIXED | MAP_NORESERVE
        map_memory(self.base, self._size, PROT_READ | PROT_WRITE, how, self.descriptor)
        self.lock: Final = RLock()
        self.decoded: Final = DecodedPages(self.pages, self.lock)
        """The code in them, and what is derived from it."""
        self.shares_code: Final = shares_code
        self.users: Final = zeros(ctypes.c_uint32, self.pages)
        """How many physical pages and caches use each page; 0: it is free."""
        self.copied_at: Final = zeros(ctypes.c_uint32, 1 << PLACE_SHIFT)
        """By physical page: the number + 1 of the shared page that a virtual machine has stored to there, last of all,
        and so has got a copy of; 0: none has. Others that have the same page there will do the same.
        """
        self._heads: Final = zeros(ctypes.c_uint32, self.pages)
        self._links: Final = _reserve(_LINKS_SIZE)
        self.map: Final = MemoryMap(
            machine_base=self.base,
            users=ctypes.addressof(self.users),
            heads=ctypes.addressof(self._heads),
            links=self._links,
            code_flags=ctypes.addressof(self.decoded.flags),
            frozen_at=ctypes.addressof(self.decoded.frozen_at),
            copied_at=ctypes.addressof(self.copied_at),
            nodes=nodes,
            node_pages=node_pages,
            ring=1,
            bell=-1,
        )
        self.map_address: Final = ctypes.addressof(self.map)
        self.routines: Final = page_routines(use_cache)
        self.counts: Final = AccessCounts(self.map, self.pages, self.routines) if nodes > 1 else None
        """Of accesses from the nodes, if there are several."""
        self.page_copied: Callable[[int], None] = _ignore
        """Told, under the lock, the shared page that a virtual machine has got a copy of because it stored to it."""
        self.reclaim: Callable[[int], int] | None = None
        """Asked, under the lock, to release so many pages when none is free; says how many are free now."""
        self._numbers: list[int] = list(range(VIRTUAL_MACHINES_MAX, 0, -1))
        self._large_pages: Final = LargePagesAhead(self.map)

    def close(self) -> None:
        """Give everything back to the host."""
        self._large_pages.close()
        self.decoded.close()
        unmap_memory(self._reserved, self._size + LARGE_PAGE_SIZE)
        os.close(self.descriptor)
        unmap_memory(self._links, _LINKS_SIZE)

    # Virtual machines.

    def enrol(self, node: int = 0) -> int:
        """A number for a virtual machine that will have memory of a node, from 1; TooManyVirtualMachines."""
        with self.lock:
            if not self._numbers:
                raise TooManyVirtualMachines
            self._large_pages.expect_use(node)
            return self._numbers.pop()

    def dismiss(self, number: int) -> None:
        """A virtual machine has gone, and all its mappings."""
        with self.lock:
            discard_memory(self._links + LINK_SIZE * (number << PLACE_SHIFT), LINK_SIZE << PLACE_SHIFT)
            self._numbers.append(number)

    # Pages.

    @property
    def allocated(self) -> int:
        """Pages in use."""
        return sum(self.allocated_on(node) for node in range(self.nodes))

    def allocated_on(self, node: int) -> int:
        """Pages of a node in use."""
        return int(self.map.untouched[node] - self.map.free[node])

    def has_free(self, node: int) -> bool:
        """Whether a node has a page that nobody uses."""
        return self.allocated_on(node) < int(self.map.node_pages)

    def node_of(self, page: int) -> int:
        """The node that a page is on."""
        return int(page // self.map.node_pages)

    def allocate(self, node: int = 0, *, zeroed: bool = True) -> int:
        """A page with one user, on `node` if it has one left; `OutOfMachineMemory` if there is none at all.

        It holds zeros, or, with `zeroed` false, whatever: the caller overwrites all of it.
        """
        with self.lock:
            while True:
                entry = self.routines.allocate(self.map_address, node, zeroed)
                if entry:
                    return entry - 1
                self.make_room()

    def allocate_run(self, entries: EntryList, node: int = 0, *, zeroed: bool = True) -> None:
        """The same for all entries of a list; none is allocated if it raises."""
        count, done, address = len(entries), 0, ctypes.addressof(entries)
        with self.lock:
            while done < count:
                done += self.routines.allocate_run(
                    self.map_address, node, address + 4 * done, count - done, zeroed
                )
                if done < count:
                    try:
                        self.make_room(count - done)
                    except OutOfMachineMemory:
                        self.release_run(entries, done)
                        raise

    def make_room(self, wanted: int = 1) -> None:
        """Have caches give up what nobody else uses; `OutOfMachineMemory` if that is nothing."""
        if self.reclaim is None or not self.reclaim(max(wanted, _RECLAIMED_TOGETHER)):
            raise OutOfMachineMemory(self.pages, self.nodes)

    def share(self, page: int) -> None:
        """One more user of a page, which nobody may write any more."""
        with self.lock:
            self.users[page] += 1

    def release(self, page: int) -> None:
        """One user less; without any the page is free, and nobody will see its contents again."""
        with self.lock:
            self.routines.release(self.map_address, page)
            self.settle()

    def release_run(
        self, entries: EntryList, count: int, *, first: int = 0, only_unused: bool = False
    ) -> int:
        """The same for `count` entries of a list, which are 0 then; returns how many pages have become free.

        With `only_unused` those that have other users stay.
        """
        if not count:
            return 0
        with self.lock:
            address = ctypes.addressof(entries) + 4 * first
            freed = self.routines.release_run(self.map_address, address, count, only_unused)
            self.settle()
            return freed

    def settle(self) -> None:
        """Under the lock, after pages have been released: drop what is derived from the code of those that nobody uses,
        and give contents of free pages back to the host if there are many.
        """
        while self.map.buried:
            self._free_buried(self.map.buried - 1)
        if self.map.all_dirty <= _DIRTY_MAX:
            return
        for node in range(self.nodes):
            pages = sorted(self.dirty_pages(node))
            for first, count in _runs(pages):
                remove_memory(self.address(first), count << MACHINE_PAGE_SHIFT)
            self.map.dirty[node] = 0
            for page in pages:
                self._heads[page] = self.map.clean[node]
                self.map.clean[node] = page + 1
        self.map.all_dirty = 0

    def _free_buried(self, page: int) -> None:
        """Put a page on the list of free ones."""
        self.map.buried = self._heads[page]
        self.decoded.forget_page(page)
        node = self.node_of(page)
        self._heads[page] = self.map.dirty[node]
        self.map.dirty[node] = page + 1
        self.map.free[node] += 1
        self.map.all_dirty += 1

    def _listed(self, entry: int) -> Iterator[int]:
        """The free pages of a list."""
        while entry:
            yield entry - 1
            entry = self._heads[entry - 1]

    def dirty_pages(self, node: int) -> list[int]:
        """The free pages of a node that hold what they held."""
        return list(self._listed(self.map.dirty[node]))

    def clean_pages(self, node: int) -> list[int]:
        """The free pages of a node that have been in use and hold zeros."""
        return list(self._listed(self.map.clean[node]))

    def places(self, page: int) -> Iterator[tuple[int, int]]:
        """Where a page is mapped: (number of the virtual machine, physical page)."""
        place = self._heads[page] if self.users[page] else 0
        while place:
            yield place >> PLACE_SHIFT, place & _FRAME_MASK
            place = ctypes.c_uint32.from_address(self._links + LINK_SIZE * place).value

    def sole_place(self, page: int) -> tuple[int, int] | None:
        """The place of a page that has one user; None if that is a cache."""
        place = self._heads[page]
        return (place >> PLACE_SHIFT, place & _FRAME_MASK) if place else None

    def address(self, page: int) -> int:
        """Host address of a page."""
        return self.base + (page << MACHINE_PAGE_SHIFT)

    def page_at(self, host: int) -> int:
        """The page at a host address."""
        return host - self.base >> MACHINE_PAGE_SHIFT


def _ignore(page: int) -> None:
    """Nobody wants to know."""


def _memory_object(size: int) -> int:
    """What machine memory is, so that pages of it can be mapped in windows, too."""
    descriptor = os.memfd_create("dbt-disco-memory", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def _reserve(size: int) -> int:
    """Address space whose memory the host gives, zeroed, as it is used."""
    return map_memory(0, size, PROT_READ | PROT_WRITE, _RESERVED)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs: (first, count)."""
    first = count = 0
    for number in numbers:
        if count and number == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = number, 1
    if count:
        yield first, count
