"""The machine that virtual machines run on: its memory, and the images that they boot from and share."""

from __future__ import annotations

import ctypes
import os
from threading import Lock
from typing import Final

from dbt_disco.virtual_machine.memory_image import FileRange, Piece
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory

_SPARE: Final = 1 << 20


class Machine:
    """Memory for any number of virtual machines.

    With `shares_images`, what pages of kernels and initrds hold is read from their files once, and all virtual
    machines that boot them have the same pages mapped, each until it stores to them.
    """

    def __init__(
        self, memory_size: int, *, nodes: int = 1, shares_images: bool = True, use_cache: bool = True
    ) -> None:
        """`memory_size` is in bytes, on all nodes together; the host gives memory when it is first used."""
        self.memory: Final = MachineMemory(memory_size + _SPARE, nodes, use_cache=use_cache)
        self._shares_images = shares_images
        self._images: dict[tuple[int, ...], EntryList] = {}
        """Contents of a file (which, when changed, offset, length) → pages."""
        self._lock: Final = Lock()

    def close(self) -> None:
        """Give the memory back to the host; no virtual machine may be left."""
        self.memory.close()

    def place(self, piece: Piece, memory: PhysicalMemory) -> None:
        """Store a piece of an image to a virtual machine's memory, or map the pages of it that are whole."""
        start, contents = piece.address, piece.contents
        if isinstance(contents, bytes):
            memory.write(start, contents)
            return
        if not self._shares_images:
            memory.write(start, contents.read())
            return
        end = start + contents.length
        first = -(-start // MACHINE_PAGE_SIZE)
        count = max(end // MACHINE_PAGE_SIZE - first, 0)
        whole = part_of(contents, first * MACHINE_PAGE_SIZE - start, count * MACHINE_PAGE_SIZE)
        if count:
            memory.map_run(first, self._pages(whole), 0, count)
        head = part_of(contents, 0, whole.offset - contents.offset)
        rest_at = whole.offset - contents.offset + whole.length
        rest = part_of(contents, rest_at, contents.length - rest_at)
        memory.write(start, head.read())
        memory.write(start + rest_at, rest.read())

    def _pages(self, contents: FileRange) -> EntryList:
        """The machine pages that hold some bytes of a file, which we use, too."""
        status = os.stat(contents.path)
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, contents.offset, contents.length)
        with self._lock:
            if key not in self._images:
                self._images[key] = self._read(contents)
            return self._images[key]

    def _read(self, contents: FileRange) -> EntryList:
        data = contents.read()
        entries = (ctypes.c_uint32 * (contents.length // MACHINE_PAGE_SIZE))()
        self.memory.allocate_run(entries, zeroed=False)
        for number, entry in enumerate(entries):
            part = data[number * MACHINE_PAGE_SIZE : (number + 1) * MACHINE_PAGE_SIZE]
            ctypes.memmove(self.memory.address(entry - 1), part, MACHINE_PAGE_SIZE)
        return entries


def part_of(contents: FileRange, start: int, length: int) -> FileRange:
    """`length` bytes from the `start`th on, as far as there are so many."""
    start = min(start, contents.length)
    return FileRange(contents.path, contents.offset + start, min(length, contents.length - start))
