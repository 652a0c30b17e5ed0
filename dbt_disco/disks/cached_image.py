"""A base image read through the global disk cache: whole pages are mapped, all else is copied from cached pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.raw_image import RawImage
from dbt_disco.disks.sector_cache import SectorCache
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.system.machine_memory import OutOfMachineMemory
from runtime.system.physical_memory import PhysicalMemory

_PAGE_SECTORS: Final = MACHINE_PAGE_SIZE // SECTOR_SIZE


@dataclass
class DeliveredSectors:
    """How sectors have got into a virtual machine's memory."""

    mapped: int = 0
    copied: int = 0


class CachedImage:
    """An open image that is only read, for one virtual machine."""

    def __init__(self, image: RawImage, cache: SectorCache) -> None:
        """It closes `image` when it is closed."""
        self._image = image
        self._cache = cache
        self.file: Final = cache.open(image.descriptor, image.path)
        self.delivered: Final = DeliveredSectors()
        self.path: Final = image.path
        self.sector_count: Final = image.sector_count
        self._whole_sectors: Final = self.sector_count // _PAGE_SECTORS * _PAGE_SECTORS

    def read(self, sector: int, count: int) -> bytes:
        """See `BlockBackend`."""
        if sector + count > self._whole_sectors:  # the last sectors are no page
            return self._image.read(sector, count)
        try:
            return self._cache.copy(
                self.file, self._image.descriptor, sector * SECTOR_SIZE, count * SECTOR_SIZE
            )
        except OutOfMachineMemory:  # then not through the cache
            return self._image.read(sector, count)

    def deliver_pages(self, sector: int, buffers: Sequence[tuple[int, int]], memory: PhysicalMemory) -> bool:
        """Map sectors at buffers (physical address, length), if these are all whole pages; False if they are not."""
        runs: list[tuple[int, int]] = []
        total = expected = 0
        for address, length in buffers:
            if (address | length) % MACHINE_PAGE_SIZE:
                return False
            count = length >> MACHINE_PAGE_SHIFT
            if address == expected and runs:  # goes on where the last one ended
                runs[-1] = runs[-1][0], runs[-1][1] + count
            else:
                runs.append((address >> MACHINE_PAGE_SHIFT, count))
            total += count
            expected = address + length
        return self._map(sector, total, memory, runs)

    def deliver(
        self, sector: int, count: int, memory: PhysicalMemory, address: int, *, aligned: bool
    ) -> None:
        """Put sectors into memory. NotMemory, OSError, OutOfMachineMemory.

        With `aligned`, they are part of what was asked for from the beginning of a page on, and so that pages of the
        disk may begin at any sector.
        """
        head = min(-address % MACHINE_PAGE_SIZE // SECTOR_SIZE, count)
        pages = (count - head) // _PAGE_SECTORS
        may_map = aligned or not (sector + head) % _PAGE_SECTORS
        frame = address + head * SECTOR_SIZE >> MACHINE_PAGE_SHIFT
        if (
            address % SECTOR_SIZE
            or not pages
            or not may_map
            or not self._map(sector + head, pages, memory, [(frame, pages)])
        ):
            self._copy(sector, count, memory, address)
            return
        if head:
            self._copy(sector, head, memory, address)
        done = head + pages * _PAGE_SECTORS
        if done < count:
            self._copy(sector + done, count - done, memory, address + done * SECTOR_SIZE)

    def _map(self, sector: int, pages: int, memory: PhysicalMemory, runs: Sequence[tuple[int, int]]) -> bool:
        """Whether pages have been mapped at runs of (first physical page, count)."""
        if not all(memory.is_run(frame, count) for frame, count in runs):
            return False
        try:
            self._cache.map(self.file, self._image.descriptor, sector * SECTOR_SIZE, memory, runs)
        except OutOfMachineMemory:
            return False  # where pages cannot be kept, those that the virtual machine has may be stored to
        self.delivered.mapped += pages * _PAGE_SECTORS
        return True

    def _copy(self, sector: int, count: int, memory: PhysicalMemory, address: int) -> None:
        memory.write(address, self.read(sector, count))
        self.delivered.copied += count

    def close(self) -> None:
        """Let others use the image; nothing else may be called afterwards."""
        self._cache.close(self.file, self._image.descriptor)
        self._image.close()
