"""A virtual machine's physical memory: `pmap` says which machine page each physical page is.

Memory is allocated when it is first touched, on the node that the virtual machine runs on. A machine page with other
users is mapped read-only; the first store gives the virtual machine a page of its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE, PhysicalAddress
from runtime.flat_array import words_in_use, zeros
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_routines import EntryList
from translator.state import CpuState
from translator.system.memory_map import PLACE_SHIFT, PhysicalMap
from translator.system.views import MACHINE_CODE, PMAP_WRITABLE

_PHYSICAL_PAGES: Final = 1 << 20
_END: Final = _PHYSICAL_PAGES << MACHINE_PAGE_SHIFT
_OFFSET_MASK: Final = MACHINE_PAGE_SIZE - 1
_ALLOCATED_TOGETHER: Final = 16
"""Pages around a touched one that are allocated with it."""
_STEADY: Final = 3
"""Where so many shared pages have been stored to one behind the other …"""
_NEAR: Final = 4
"""… each less than so many further …"""
_COPIED_TOGETHER: Final = 16
"""… the next are copied at once, up to a multiple of so many."""
_LIKE_OTHERS: Final = 32
"""Pages around one that a guest stores to, or executes, that are copied or exchanged with it if that is what other
virtual machines have come to."""
_MOST_TIMES_FROZEN: Final = 8
"""How often a physical page's code is frozen, or exchanged for frozen one that is the same, in all."""


class NotMemory(Exception):
    """A physical range given to a device is not all memory of the virtual machine."""

    def __init__(self, address: int, length: int) -> None:
        super().__init__(f"{length} bytes at physical {address:#010x} are not memory")
        self.address = address
        self.length = length


def _ignore_page(number: int) -> None:
    """There is no vCPU that has derived anything from the page."""


class PhysicalMemory:
    """The memory of one virtual machine: `ranges` of (physical address, size), multiples of the page size."""

    def __init__(self, machine: MachineMemory, ranges: list[tuple[int, int]], node: int = 0) -> None:
        """`node`: see there."""
        self.machine: Final = machine
        self.decoded: Final = machine.decoded
        self.pmap: Final = zeros(ctypes.c_uint64, _PHYSICAL_PAGES)
        """Host address of the machine page, PMAP_WRITABLE; 0: not memory, or not touched yet."""
        self._is_memory: Final = zeros(ctypes.c_uint8, _PHYSICAL_PAGES)
        self.ranges: Final = [
            range(start >> MACHINE_PAGE_SHIFT, start + size >> MACHINE_PAGE_SHIFT) for start, size in ranges
        ]
        """The physical page numbers that are memory."""
        for part in self.ranges:
            ctypes.memset(ctypes.addressof(self._is_memory) + part.start, 1, len(part))
        self.size: Final = sum(size for _, size in ranges)
        self.number: Final = machine.enrol(node)
        """Which virtual machine it is, in the machine's back map."""
        self.map: Final = PhysicalMap(
            pmap=ctypes.addressof(self.pmap),
            is_memory=ctypes.addressof(self._is_memory),
            first_place=self.number << PLACE_SHIFT,
            node=node,
        )
        self._map_address: Final = ctypes.addressof(self.map)
        self.zap: Callable[[int], None] = _ignore_page
        """Drops every translation to a physical page; set by the vCPU."""
        self.used_on: int | None = None
        """The node of the processor that the virtual machine runs on; None: nobody has said, the one of its memory."""
        self._stored_to = 0, 0
        """How many shared pages the guest has stored to one soon behind the other, and the one behind the last."""
        self.copied = 0
        """Pages copied as they were stored to, or as it seemed that they would be."""
        self._times_frozen: dict[int, int] = {}
        """Physical page → how often its code has been frozen."""

    def close(self, *, machine_closes: bool = False) -> None:
        """Give all pages back to the machine, if that is not about to give everything back itself.

        No vCPU may have it any more.
        """
        if not machine_closes:
            with self.machine.lock:
                for part in self.ranges:
                    self._native_unmap(part.start, len(part))
                self.machine.settle()
            self.machine.dismiss(self.number)

    def attach(self, state: CpuState) -> None:
        """Translations to the memory are in the tables of this vCPU."""
        self.map.slots, self.map.slot_heads = state.slots_base, state.back_map_heads
        self.map.slot_records, self.map.slot_blocks = state.back_map_records, state.slot_blocks
        self.map.windows, self.map.window_places = state.windows_base, state.window_places

    def detach(self) -> None:
        """The vCPU goes, and needs not be told anything any more."""
        self.zap = _ignore_page
        self.map.slots = self.map.slot_heads = self.map.slot_records = 0

    @property
    def node(self) -> int:
        """The node that memory is taken from, as long as there is some."""
        return int(self.map.node)

    @node.setter
    def node(self, node: int) -> None:
        self.map.node = node

    @property
    def user_node(self) -> int:
        """The node that memory is used on."""
        return self.node if self.used_on is None else self.used_on

    @property
    def mapped(self) -> int:
        """How many physical pages have a machine page."""
        return int(self.map.mapped)

    def count_shared(self) -> int:
        """How many physical pages have a machine page that others use, too: virtual machines or caches."""
        machine = self.machine
        return sum(
            machine.routines.count_shared(machine.map_address, self._map_address, part.start, len(part))
            for part in self.ranges
        )

    def frames(self) -> Iterator[int]:
        """Physical page numbers that have a machine page."""
        return (frame for part in self.ranges for frame in part if self.pmap[frame])

    def mappings(self) -> Iterator[tuple[int, int]]:
        """All of pmap that is not 0: (physical page number, word)."""
        return words_in_use(self.pmap)

    def is_memory(self, frame: int) -> bool:
        """Whether a physical page number is memory."""
        return frame < _PHYSICAL_PAGES and bool(self._is_memory[frame])

    def machine_page(self, frame: int) -> int:
        """The machine page of a physical page that has one."""
        return self.machine.page_at(self.pmap[frame] & ~_OFFSET_MASK)

    # Pages.

    def touch(self, frame: int) -> bool:
        """See to it that a physical page has a machine page; False if it is no memory."""
        if not self.is_memory(frame):
            return False
        if not self.pmap[frame]:
            with self.machine.lock:
                while not self._native_touch(frame, 1):
                    self.machine.make_room()
                self._native_touch(frame & -_ALLOCATED_TOGETHER, _ALLOCATED_TOGETHER)
        return True

    def is_run(self, frame: int, count: int) -> bool:
        """Whether `count` physical pages from `frame` on are one range of memory."""
        return any(part.start <= frame and frame + count <= part.stop for part in self.ranges)

    def map_run(self, frame: int, entries: EntryList, first: int, count: int) -> int:
        """Map machine pages read-only: `count` entries of a list from the `first` on, at a run of memory.

        Ends where an entry is no page; returns how many have been mapped. The owner of the list uses them, too.
        """
        with self.machine.lock:
            return self._map(frame, entries, first, count, writable=False)

    def may_store(self, frame: int) -> bool:
        """Whether a physical page may be stored to as it is mapped now."""
        return bool(self.pmap[frame] & PMAP_WRITABLE)

    def forbid_stores(self, frame: int) -> None:
        """Before the machine page of a physical page gets other users."""
        self.zap(frame)
        self.pmap[frame] &= ~PMAP_WRITABLE

    def has_code(self, frame: int) -> bool:
        """Whether something is derived from the code of a physical page that is mapped."""
        return bool(self.decoded.flags[self.machine_page(frame)])

    def has_mapped(self, machine_page: int) -> bool:
        """Whether a machine page is mapped at some physical page. Under the machine's lock."""
        return any(number == self.number for number, _ in self.machine.places(machine_page))

    def move_mapping(self, frame: int, machine_page: int) -> None:
        """Map a copy of what is mapped now instead of it, as writable; the caller uses the copy, too."""
        with self.machine.lock:
            entry = (ctypes.c_uint32 * 1)(machine_page + 1)
            self._map(frame, entry, 0, 1, writable=self.may_store(frame))

    def migrate_run(self, entries: EntryList, node: int) -> int:
        """Move pages of a list to a node as far as they are memory of this virtual machine's only, without code.

        The list has what they are then, or 0; returns how many it was before the node was full.
        """
        machine = self.machine
        with machine.lock:
            done = machine.routines.migrate_run(
                machine.map_address, self._map_address, ctypes.addressof(entries), len(entries), node
            )
            machine.settle()
        return done

    def make_writable(self, frame: int) -> None:
        """Before a store: a page of the virtual machine's own, without decoded code."""
        self.touch(frame)
        with self.machine.lock:
            word = self.pmap[frame]
            page = self.machine.page_at(word & ~_OFFSET_MASK)
            if not word & PMAP_WRITABLE:
                if self.machine.users[page] > 1:
                    self._copy_one(frame, page)
                    return
                self.zap(frame)
                self.pmap[frame] = word | PMAP_WRITABLE
            elif self.decoded.flags[page] & MACHINE_CODE:
                self.decoded.take_for_data(page)
            if self.decoded.flags[page] & MACHINE_CODE:
                self.zap(frame)
                self.decoded.forget_code(page)

    def _copy_one(self, frame: int, page: int) -> None:
        """Give a physical page a copy of the page that it shares with others."""
        machine = self.machine
        with machine.lock:
            while not machine.routines.copy_page(machine.map_address, self._map_address, frame, page):
                machine.make_room()
            machine.page_copied(page)
            machine.settle()  # who gives up the page to make room may have left none but this user of it
        self.copied += 1

    def make_writable_for_guest(self, frame: int) -> None:
        """The same before a store of the vCPU's, which may be one of many to one page after the other: Linux patches
        its text like that when it boots, and clears what the initramfs was in. Then the next ones are copied, too, as
        far as others have them and no code of them is decoded. If another virtual machine has stored to this page here,
        what others have stored to around it is copied, too.
        """
        if not self.pmap[frame] or self.may_store(frame):  # it has code, then
            self.make_writable(frame)
            return
        if self.machine.copied_at[frame] == self.machine_page(frame) + 1:
            self._copy(frame, self.machine.routines.copy_changed, frame & -_LIKE_OTHERS, _LIKE_OTHERS)
        if self.may_store(frame):
            return
        count, end = self._stored_to
        count = count + 1 if end <= frame < end + _NEAR else 0
        ahead = -(frame + 1) % _COPIED_TOGETHER if count > _STEADY else 0
        done = self._copy(frame, self.machine.routines.copy_run, frame, 1 + ahead)
        if not self.may_store(frame):
            self.make_writable(frame)
        self._stored_to = count, frame + max(done, 1)

    def _copy(self, frame: int, copy: Callable[[int, int, int, int], int], first: int, count: int) -> int:
        """Have a routine copy shared pages of a run, mostly that of `frame`, which the guest stores to; how many."""
        machine = self.machine
        with machine.lock:
            page = self.machine_page(frame)
            done = copy(machine.map_address, self._map_address, first, count)
            if self.may_store(frame):
                machine.page_copied(page)
        self.copied += done
        return done

    def mark_code(self, frame: int) -> int:
        """Before the first instruction of a page is decoded; returns the machine page."""
        machine, decoded = self.machine, self.decoded
        with machine.lock:
            page = self.machine_page(frame)
            if not decoded.flags[page] & MACHINE_CODE:
                if machine.shares_code and self.may_store(frame):
                    page = self._freeze(frame, page)
                decoded.mark_code(page)
                self.zap(frame)  # no store may go on without a look
            return page

    def _freeze(self, frame: int, page: int) -> int:
        """Have a page with code that is the virtual machine's own be known by its contents, or use one that holds the
        same, and so for pages around it; the machine page from now on.

        What is stored to again and again stays as it is.
        """
        times = self._times_frozen.get(frame, 0)
        if times == _MOST_TIMES_FROZEN:
            return page
        self._times_frozen[frame] = times + 1
        if self.decoded.frozen_at[frame]:
            self._exchange_around(frame)
            if not self.may_store(frame):
                return self.machine_page(frame)
        contents = ctypes.string_at(self.machine.address(page), MACHINE_PAGE_SIZE)
        same = self.decoded.frozen_page(contents)
        if same is not None and ctypes.string_at(self.machine.address(same), MACHINE_PAGE_SIZE) == contents:
            self._map(frame, (ctypes.c_uint32 * 1)(same + 1), 0, 1, writable=False)
            return same
        self.forbid_stores(frame)
        self.decoded.freeze(page, contents, frame)
        return page

    def _exchange_around(self, frame: int) -> None:
        machine, first = self.machine, frame & -_LIKE_OTHERS
        machine.routines.exchange_run(machine.map_address, self._map_address, first, _LIKE_OTHERS)
        machine.settle()

    # Mapping; under the machine's lock.

    def _native_touch(self, frame: int, count: int) -> int:
        machine = self.machine
        return machine.routines.touch_run(machine.map_address, self._map_address, frame, count)

    def _native_unmap(self, frame: int, count: int) -> None:
        machine = self.machine
        machine.routines.unmap_run(machine.map_address, self._map_address, frame, count)

    def _map(self, frame: int, entries: EntryList, first: int, count: int, *, writable: bool) -> int:
        machine = self.machine
        address = ctypes.addressof(entries) + 4 * first
        done = machine.routines.map_run(
            machine.map_address, self._map_address, frame, address, count, writable
        )
        machine.settle()
        return done

    # Access from Python.

    def host_address(self, address: int, *, for_write: bool = False) -> int:
        """The host address of a byte of memory; `NotMemory` if it is none."""
        frame = address >> MACHINE_PAGE_SHIFT
        if not self.touch(frame):
            raise NotMemory(address, 1)
        if for_write:
            self.make_writable(frame)
        return (self.pmap[frame] & ~_OFFSET_MASK) + (address & _OFFSET_MASK)

    def _pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """A range page by page: (address, length). `NotMemory` unless all of it is memory."""
        first = address >> MACHINE_PAGE_SHIFT
        end = (address + max(length, 1) - 1 >> MACHINE_PAGE_SHIFT) + 1
        if not self.is_run(first, end - first) and not all(map(self.is_memory, range(first, end))):
            raise NotMemory(address, length)
        while length > 0:
            count = min(length, MACHINE_PAGE_SIZE - (address & _OFFSET_MASK))
            yield address, count
            address += count
            length -= count

    def read(self, address: PhysicalAddress | int, length: int) -> bytes:
        """The bytes of a range; `NotMemory` unless all of it is memory."""
        offset = address & _OFFSET_MASK
        if offset + length <= MACHINE_PAGE_SIZE and address < _END:  # the quick way for rings and descriptors
            word = self.pmap[address >> MACHINE_PAGE_SHIFT]
            if word:
                return ctypes.string_at((word & ~_OFFSET_MASK) + offset, length)
        return b"".join(
            ctypes.string_at(self.host_address(at), count) for at, count in self._pieces(address, length)
        )

    def write(self, address: PhysicalAddress | int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes; `NotMemory` (and nothing is stored) unless all of the range is memory."""
        contents = bytes(data)
        offset, length = address & _OFFSET_MASK, len(contents)
        if offset + length <= MACHINE_PAGE_SIZE and address < _END:
            word = self.pmap[address >> MACHINE_PAGE_SHIFT]
            page = self.machine.page_at(word & ~_OFFSET_MASK)
            if word & PMAP_WRITABLE and not self.decoded.flags[page] & MACHINE_CODE:
                ctypes.memmove((word & ~_OFFSET_MASK) + offset, contents, length)
                return
        position = 0
        pmap, flags, machine = self.pmap, self.decoded.flags, self.machine
        for at, count in self._pieces(address, length):
            frame = at >> MACHINE_PAGE_SHIFT
            word = pmap[frame]
            if not word & PMAP_WRITABLE or flags[machine.page_at(word & ~_OFFSET_MASK)] & MACHINE_CODE:
                self.make_writable(frame)
                word = pmap[frame]
            host = (word & ~_OFFSET_MASK) + (at & _OFFSET_MASK)
            ctypes.memmove(host, contents[position : position + count], count)
            position += count

    def release(self, address: PhysicalAddress | int, length: int) -> None:
        """Take back whole pages that the guest does not use; they read as zero afterwards."""
        first = address + _OFFSET_MASK >> MACHINE_PAGE_SHIFT
        end = address + length >> MACHINE_PAGE_SHIFT
        with self.machine.lock:
            for part in self.ranges:
                start, stop = max(first, part.start), min(end, part.stop)
                if start < stop:
                    self._native_unmap(start, stop - start)
            self.machine.settle()
