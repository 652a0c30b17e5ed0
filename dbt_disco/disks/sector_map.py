"""What a virtual machine has changed of a disk: an ordered map from sectors to their contents.

The map holds disjoint *extents*, runs of sectors with contents, wherever those are stored (`ExtentStore`); the paper
keeps them in a B-tree (Disco, section 4.2.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dbt_disco.disks.block_backend import SECTOR_SIZE

if TYPE_CHECKING:
    from sortedcontainers import SortedDict

_LONGEST: Final = 128
"""Sectors in an extent with data: a longer one would be copied as a whole when a part of it changes."""


class Extent(NamedTuple):
    """A run of modified sectors."""

    start: int
    end: int
    """The sector after the last one."""
    data: bytes | None
    """Contents; None if all are zero."""

    def part(self, start: int, end: int) -> Extent:
        """What of the extent lies in a range that it overlaps."""
        first, last = max(start, self.start), min(end, self.end)
        if self.data is None or (first, last) == (self.start, self.end):
            return Extent(first, last, self.data)
        offset = first - self.start
        return Extent(first, last, self.data[offset * SECTOR_SIZE : (last - self.start) * SECTOR_SIZE])


class ExtentStore(Protocol):
    """Holds extents by their start. What goes wrong on the host is an OSError."""

    def overlapping(self, start: int, end: int) -> list[Extent]:
        """The extents that have a sector in [start, end), in order."""

    def insert(self, extent: Extent) -> None:
        """Add an extent that overlaps none that is there."""

    def remove(self, start: int) -> None:
        """Drop the extent that begins at `start`."""


class SectorMap:
    """The modified sectors; the latest contents count."""

    def __init__(self, store: ExtentStore) -> None:
        self._store = store

    def write(self, sector: int, data: bytes) -> None:
        """Set the contents of the sectors from `sector` on."""
        self._clear(sector, sector + len(data) // SECTOR_SIZE)
        step = _LONGEST * SECTOR_SIZE
        for offset in range(0, len(data), step):
            part = bytes(data[offset : offset + step])
            start = sector + offset // SECTOR_SIZE
            self._store.insert(Extent(start, start + len(part) // SECTOR_SIZE, part))

    def zero(self, sector: int, count: int) -> None:
        """Make `count` sectors zero."""
        self._clear(sector, sector + count)
        self._store.insert(Extent(sector, sector + count, None))

    def modified(self, sector: int, count: int) -> Iterator[Extent]:
        """The modified parts of a range, in order."""
        end = sector + count
        for extent in self._store.overlapping(sector, end):
            yield extent.part(sector, end)

    def _clear(self, start: int, end: int) -> None:
        for extent in self._store.overlapping(start, end):
            self._store.remove(extent.start)
            if extent.start < start:
                self._store.insert(extent.part(extent.start, start))
            if extent.end > end:
                self._store.insert(extent.part(end, extent.end))


class MemoryExtents:
    """Extents in memory."""

    def __init__(self) -> None:
        from sortedcontainers import SortedDict

        self._extents: SortedDict[int, Extent] = SortedDict()

    def overlapping(self, start: int, end: int) -> list[Extent]:
        """See `ExtentStore`."""
        extents = self._extents
        if not extents:
            return []
        before = next(extents.irange(maximum=start, reverse=True), start)
        keys = extents.irange(before, end, inclusive=(True, False))
        return [extent for key in keys if (extent := extents[key]).end > start]

    def insert(self, extent: Extent) -> None:
        """See `ExtentStore`."""
        self._extents[extent.start] = extent

    def remove(self, start: int) -> None:
        """See `ExtentStore`."""
        del self._extents[start]
