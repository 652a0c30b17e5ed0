"""A disk that many virtual machines share: a base image that is only read, under the changes of one of them."""

from __future__ import annotations

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.raw_image import RawImage
from dbt_disco.disks.sector_map import MemoryExtents, SectorMap


class ModifiedDisk:
    """A base image with changes on top, which vanish with the disk (mode `shared`)."""

    def __init__(self, base: RawImage, serial: bytes = b"", changes: SectorMap | None = None) -> None:
        """`changes`: where to keep the changes (default: in memory). The disk closes `base` when it is closed."""
        self._base = base
        self._changes = changes or SectorMap(MemoryExtents())
        self.serial = serial
        self.read_only = False

    @property
    def sector_count(self) -> int:
        """See `BlockBackend`."""
        return self._base.sector_count

    def read(self, sector: int, count: int) -> bytes:
        """See `BlockBackend`."""
        parts = []
        at, end = sector, sector + count
        for extent in self._changes.modified(sector, count):
            if extent.start > at:
                parts.append(self._base.read(at, extent.start - at))
            parts.append(
                bytes((extent.end - extent.start) * SECTOR_SIZE) if extent.data is None else extent.data
            )
            at = extent.end
        if at < end:
            parts.append(self._base.read(at, end - at))
        return parts[0] if len(parts) == 1 else b"".join(parts)

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
