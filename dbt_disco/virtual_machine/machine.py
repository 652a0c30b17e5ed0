"""The machine that virtual machines run on: its memory, and the images that they boot from and share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from dbt_disco.virtual_machine.memory_image import BootError, FileRange, Piece
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.shared_compile_service import SharedCompileService
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory

if TYPE_CHECKING:
    from dbt_disco.disks.sector_cache import SectorCache
    from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

_SPARE: Final = 1 << 20


class Machine:
    """Memory for any number of virtual machines.

    With `shares_images`, pages of kernels, initrds and disks are read from their files once, and all virtual machines
    that want them have the same pages mapped, each until it stores to them.
    """

    def __init__(
        self, memory_size: int, *, nodes: int = 1, shares_images: bool = True, use_cache: bool = True
    ) -> None:
        """`memory_size` is in bytes, on all nodes together; the host gives memory when it is first used."""
        self.memory: Final = MachineMemory(
            memory_size + _SPARE, nodes, use_cache=use_cache, shares_code=shares_images
        )
        self.cache: Final[SectorCache | None] = _sector_cache(self.memory) if shares_images else None
        """What is shared; None: nothing is."""

        self.compile_service: Final = SharedCompileService()
        """What has been translated for one virtual machine serves all."""

    def close(self) -> None:
        """Give the memory back to the host; no virtual machine may be left."""
        self.compile_service.close()
        self.memory.close()

    def place(self, piece: Piece, memory: PhysicalMemory) -> None:
        """Store a piece of an image to a virtual machine's memory, or map the pages of it that are whole."""
        start, contents = piece.address, piece.contents
        if isinstance(contents, bytes):
            memory.write(start, contents)
            return
        if self.cache is None:
            memory.write(start, contents.read())
            return
        end = start + contents.length
        first = -(-start // MACHINE_PAGE_SIZE)
        count = max(end // MACHINE_PAGE_SIZE - first, 0)
        whole = part_of(contents, first * MACHINE_PAGE_SIZE - start, count * MACHINE_PAGE_SIZE)
        if count:
            _map(self.cache, whole, memory, first)
        head = part_of(contents, 0, whole.offset - contents.offset)
        rest_at = whole.offset - contents.offset + whole.length
        rest = part_of(contents, rest_at, contents.length - rest_at)
        memory.write(start, head.read())
        memory.write(start + rest_at, rest.read())

    def audit(self, virtual_machines: Iterable[VirtualMachine], held: Iterable[EntryList] = ()) -> None:
        """Have the auditor look at all memory; these are all virtual machines, and none runs. `Disagreement`.

        `held`: pages that others than virtual machines and the cache use.
        """
        from runtime.system.auditor import Tenant, audit  # late: seldom needed
        from runtime.system.vcpu import SystemVcpu

        tenants = [
            Tenant(guest.memory, guest.vcpu.tables if isinstance(guest.vcpu, SystemVcpu) else None)
            for guest in virtual_machines
        ]
        with self.memory.lock:
            audit(self.memory, tenants, [*held, *([] if self.cache is None else self.cache.held())])


def _sector_cache(memory: MachineMemory) -> SectorCache:
    from dbt_disco.disks.sector_cache import SectorCache  # late: one virtual machine alone has none

    return SectorCache(memory)


def _map(cache: SectorCache, contents: FileRange, memory: PhysicalMemory, frame: int) -> None:
    """Map whole pages of a file from a physical page on."""
    count = contents.length // MACHINE_PAGE_SIZE
    descriptor = os.open(contents.path, os.O_RDONLY)
    try:
        file = cache.open(descriptor, contents.path)
        try:
            if contents.offset + contents.length > file.size:
                raise BootError(f"{contents.path}: changed while it was read")
            cache.map(file, descriptor, contents.offset, memory, [(frame, count)])
        finally:
            cache.close(file, descriptor)
    finally:
        os.close(descriptor)


def part_of(contents: FileRange, start: int, length: int) -> FileRange:
    """`length` bytes from the `start`th on, as far as there are so many."""
    start = min(start, contents.length)
    return FileRange(contents.path, contents.offset + start, min(length, contents.length - start))
