"""Files that virtual machines boot from, in machine memory once however many of them do.

A page of a kernel image or an initrd is mapped into each virtual machine that boots it, and copied for the one that
stores to it.
"""

from __future__ import annotations

import os
from typing import Final

from dbt_disco.virtual_machine.memory_image import FileRange, Piece
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory

_Key = tuple[str, int, int, int, int]


class ImagePages:
    """The pages of one machine that hold parts of files. They stay until `close`."""

    def __init__(self, machine: MachineMemory) -> None:
        self._machine: Final = machine
        self._pages: dict[_Key, list[int]] = {}

    def close(self) -> None:
        """Give up the pages; those that virtual machines have mapped stay theirs."""
        for pages in self._pages.values():
            for page in pages:
                self._machine.release(page)
        self._pages.clear()

    def place(self, memory: PhysicalMemory, piece: Piece) -> None:
        """Put a piece into a virtual machine's memory: whole pages of files are mapped, the rest is copied."""
        contents = piece.contents
        if isinstance(contents, bytes) or piece.address % MACHINE_PAGE_SIZE:
            memory.write(piece.address, piece.bytes())
            return
        whole = contents.length // MACHINE_PAGE_SIZE * MACHINE_PAGE_SIZE
        first = piece.address // MACHINE_PAGE_SIZE
        for number, page in enumerate(self._of_file(contents, whole)):
            self._machine.share(page)
            memory.map_shared(first + number, page)
        if contents.length > whole:
            tail = FileRange(contents.path, contents.offset + whole, contents.length - whole)
            memory.write(piece.address + whole, tail.read())

    def _of_file(self, contents: FileRange, length: int) -> list[int]:
        """The machine pages with the first `length` bytes, a multiple of the page size."""
        status = os.stat(contents.path)
        key = (str(contents.path), status.st_mtime_ns, status.st_size, contents.offset, length)
        pages = self._pages.get(key)
        if pages is None:
            data = FileRange(contents.path, contents.offset, length).read()
            pages = self._pages[key] = [
                self._machine.allocate_with(data[at : at + MACHINE_PAGE_SIZE])
                for at in range(0, length, MACHINE_PAGE_SIZE)
            ]
        return pages
