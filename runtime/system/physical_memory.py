"""A virtual machine's physical memory: `pmap` says which machine page each physical page is.

Memory is allocated when it is first touched. A machine page with other users is mapped read-only; the first store
gives the virtual machine a page of its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE, PhysicalAddress
from runtime.system.decoded_pages import DecodedPages
from runtime.system.machine_memory import MachineMemory
from translator.system.views import MACHINE_CODE, PMAP_WRITABLE

_PHYSICAL_PAGES: Final = 1 << 20
_OFFSET_MASK: Final = MACHINE_PAGE_SIZE - 1
_ALLOCATED_TOGETHER: Final = 16
"""Pages around a touched one that are allocated with it."""


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

    def __init__(self, machine: MachineMemory, ranges: list[tuple[int, int]]) -> None:
        self.machine: Final = machine
        self.decoded: Final = DecodedPages(machine.pages)
        self.pmap: Final = (ctypes.c_uint64 * _PHYSICAL_PAGES)()
        """Host address of the machine page, PMAP_WRITABLE; 0: not memory, or not touched yet."""
        self._is_memory: Final = bytearray(_PHYSICAL_PAGES)
        for start, size in ranges:
            first, count = start >> MACHINE_PAGE_SHIFT, size >> MACHINE_PAGE_SHIFT
            self._is_memory[first : first + count] = b"\1" * count
        self.size: Final = sum(size for _, size in ranges)
        self.zap: Callable[[int], None] = _ignore_page
        """Drops every translation to a physical page; set by the vCPU."""
        self.code_dropped: Callable[[int], None] = _ignore_page
        """Told the machine page whose code is about to change."""
        self.copied = 0
        """Pages copied as they were stored to."""
        self._frame_of_code: dict[int, set[int]] = {}
        """Machine pages with decoded code → the physical pages they are mapped at."""

    def close(self, *, machine_closes: bool = False) -> None:
        """Give all pages back to the machine, if that is not about to give everything back itself.

        No vCPU may have it any more.
        """
        if not machine_closes:
            for frame in self.frames():
                self._unmap(frame)
        self.decoded.close()

    def detach(self) -> None:
        """The vCPU goes, and needs not be told anything any more."""
        self.zap = self.code_dropped = _ignore_page

    def frames(self) -> Iterator[int]:
        """Physical page numbers that have a machine page."""
        return (frame for frame, word in enumerate(self.pmap) if word)

    def is_memory(self, frame: int) -> bool:
        """Whether a physical page number is memory."""
        return frame < _PHYSICAL_PAGES and bool(self._is_memory[frame])

    # Pages.

    def touch(self, frame: int) -> bool:
        """See to it that a physical page has a machine page; False if it is no memory."""
        if not self.is_memory(frame):
            return False
        if not self.pmap[frame]:
            self._map(frame, self.machine.allocate(), writable=True)
            first = frame & -_ALLOCATED_TOGETHER
            for beside in range(first, first + _ALLOCATED_TOGETHER):
                if self._is_memory[beside] and not self.pmap[beside]:
                    self._map(beside, self.machine.allocate(), writable=True)
        return True

    def map_shared(self, frame: int, machine_page: int) -> None:
        """Map a machine page that has other users, whose count the caller has raised."""
        self._unmap(frame)
        self._map(frame, machine_page, writable=False)

    def make_writable(self, frame: int) -> None:
        """Before a store: a page of the virtual machine's own, without decoded code."""
        self.touch(frame)
        word = self.pmap[frame]
        page = self.machine.page_at(word & ~_OFFSET_MASK)
        if not word & PMAP_WRITABLE:
            if self.machine.users[page] > 1:
                fresh = self.machine.allocate()
                ctypes.memmove(self.machine.address(fresh), self.machine.address(page), MACHINE_PAGE_SIZE)
                self._unmap(frame)
                self._map(frame, fresh, writable=True)
                self.copied += 1
                return
            self.zap(frame)
            self.pmap[frame] = word | PMAP_WRITABLE
        if self.decoded.flags[page] & MACHINE_CODE:
            self.decoded.take_for_data(page)
            self.forget_code(page)

    def mark_code(self, frame: int) -> None:
        """Before the first instruction of a page is decoded."""
        page = self.machine.page_at(self.pmap[frame] & ~_OFFSET_MASK)
        self.decoded.mark_code(page)
        self._frame_of_code.setdefault(page, set()).add(frame)
        self.zap(frame)

    def mark_code_of_machine_page(self, machine_page: int) -> None:
        """The same for a page that is known by its machine page: one that code runs in."""
        host = self.machine.address(machine_page)
        for frame in self.frames():
            if self.pmap[frame] & ~_OFFSET_MASK == host:
                self.mark_code(frame)

    def forget_code(self, machine_page: int) -> None:
        """Drop what was derived from the code of a machine page."""
        self.code_dropped(machine_page)
        self.decoded.forget_code(machine_page)
        for frame in self._frame_of_code.pop(machine_page, ()):
            self.zap(frame)

    def forget_all_code(self) -> None:
        """Drop everything derived from code."""
        for page in list(self._frame_of_code):
            self.forget_code(page)

    def _map(self, frame: int, machine_page: int, *, writable: bool) -> None:
        self.pmap[frame] = self.machine.address(machine_page) | (PMAP_WRITABLE if writable else 0)
        if self.decoded.flags[machine_page] & MACHINE_CODE:
            self._frame_of_code.setdefault(machine_page, set()).add(frame)

    def _unmap(self, frame: int) -> None:
        word = self.pmap[frame]
        if not word:
            return
        self.zap(frame)
        self.pmap[frame] = 0
        page = self.machine.page_at(word & ~_OFFSET_MASK)
        frames = self._frame_of_code.get(page)
        if frames is not None:
            frames.discard(frame)
        if not frames:
            if self._frame_of_code.pop(page, None) is not None:
                self.code_dropped(page)
            self.decoded.forget_page(page)
        self.machine.release(page)

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
        frames = range(
            address >> MACHINE_PAGE_SHIFT, (address + max(length, 1) - 1 >> MACHINE_PAGE_SHIFT) + 1
        )
        if not all(self.is_memory(frame) for frame in frames):
            raise NotMemory(address, length)
        while length > 0:
            count = min(length, MACHINE_PAGE_SIZE - (address & _OFFSET_MASK))
            yield address, count
            address += count
            length -= count

    def read(self, address: PhysicalAddress | int, length: int) -> bytes:
        """The bytes of a range; `NotMemory` unless all of it is memory."""
        return b"".join(
            ctypes.string_at(self.host_address(at), count) for at, count in self._pieces(address, length)
        )

    def write(self, address: PhysicalAddress | int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes; `NotMemory` (and nothing is stored) unless all of the range is memory."""
        contents = bytes(data)
        position = 0
        for at, count in self._pieces(address, len(contents)):
            part = contents[position : position + count]
            ctypes.memmove(self.host_address(at, for_write=True), part, count)
            position += count

    def release(self, address: PhysicalAddress | int, length: int) -> None:
        """Take back whole pages that the guest does not use; they read as zero afterwards."""
        first = address + _OFFSET_MASK >> MACHINE_PAGE_SHIFT
        for frame in range(first, address + length >> MACHINE_PAGE_SHIFT):
            if self.is_memory(frame):
                self._unmap(frame)
