"""A disk that many virtual machines share: a base image that is only read, under the changes of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dbt_disco.disks.block_backend import SECTOR_SIZE, Delivery
from dbt_disco.disks.cached_image import CachedImage
from dbt_disco.disks.raw_image import RawImage
from dbt_disco.disks.sector_map import Extent, MemoryExtents, SectorMap
from runtime.addresses import MACHINE_PAGE_SIZE

if TYPE_CHECKING:
    from runtime.system.physical_memory import PhysicalMemory


class ModifiedDisk:
    """A base image with changes on top, which vanish with the disk (mode `shared`)."""

    def __init__(
        self, base: RawImage | CachedImage, serial: bytes = b"", changes: SectorMap | None = None
    ) -> None:
        """`changes`: where to keep the changes (default: in memory). The disk closes `base` when it is closed."""
        self._base = base
        self._changes = changes or SectorMap(MemoryExtents())
        self.serial = serial
        self.read_only = False

    @property
    def sector_count(self) -> int:
        """See `BlockBackend`."""
        return self._base.sector_count

    @property
    def base(self) -> RawImage | CachedImage:
        """What is under the changes."""
        return self._base

    def read(self, sector: int, count: int) -> bytes:
        """See `BlockBackend`."""
        extents = list(self._changes.modified(sector, count))
        parts = [
            self._base.read(start, end - start) if extent is None else _contents(extent)
            for start, end, extent in _runs(extents, sector, sector + count)
        ]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def delivery(self, memory: PhysicalMemory) -> Delivery | None:
        """See `Disk`."""
        base, changes = self._base, self._changes
        if not isinstance(base, CachedImage):
            return None

        def deliver(sector: int, buffers: Sequence[tuple[int, int]]) -> None:
            extents = list(changes.modified(sector, sum(length for _, length in buffers) // SECTOR_SIZE))
            if not extents and base.deliver_pages(sector, buffers, memory):
                return
            for address, length in buffers:
                aligned = not address % MACHINE_PAGE_SIZE
                for start, end, extent in _runs(extents, sector, sector + length // SECTOR_SIZE):
                    at = address + (start - sector) * SECTOR_SIZE
                    if extent is None:
                        base.deliver(start, end - start, memory, at, aligned=aligned)
                    else:
                        memory.write(at, _contents(extent))
                sector += length // SECTOR_SIZE

        return deliver

    def write(self, sector: int, data: bytes) -> None:
        """See `BlockBackend`."""
        self._changes.write(sector, data)

    def discard(self, sector: int, count: int) -> None:
        """See `BlockBackend`."""
        self._changes.zero(sector, count)

    def flush(self) -> None:
        """See `BlockBackend`; nothing is to be kept."""

    def close(self) -> None:
        """Let others use the image; nothing else may be called afterwards."""
        self._base.close()


def _runs(extents: Sequence[Extent], start: int, end: int) -> Iterator[tuple[int, int, Extent | None]]:
    """A range cut into (start, end, part of an extent), or None instead where there is none."""
    for whole in extents:
        if whole.end <= start or whole.start >= end:
            continue
        extent = whole.part(start, end)
        if extent.start > start:
            yield start, extent.start, None
        yield extent.start, extent.end, extent
        start = extent.end
    if start < end:
        yield start, end, None


def _contents(extent: Extent) -> bytes:
    return bytes((extent.end - extent.start) * SECTOR_SIZE) if extent.data is None else extent.data
