"""Which parts of a guest's address space are mapped, and to what: an ordered map of disjoint regions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple


class Region(NamedTuple):
    """Guest addresses `start` up to, not including, `end`, mapped alike."""

    start: int
    end: int
    protection: int
    """READ, WRITE, EXEC bits as the guest asked for them."""
    shared: bool = False
    name: str = ""
    """Path of the mapped file, or a bracketed name such as `[stack]`; empty for plain anonymous memory."""
    offset: int = 0
    """File offset of `start`."""
    device: int = 0
    inode: int = 0

    def part(self, start: int, end: int) -> Region:
        """The region cut down to `start` … `end`, its file offset moved along."""
        offset = self.offset + start - self.start if self.is_file else self.offset
        return self._replace(start=start, end=end, offset=offset)

    @property
    def is_file(self) -> bool:
        return self.inode != 0

    def continues(self, other: Region) -> bool:
        """Whether `other`, which ends where this one starts, and this one are one region to the kernel."""
        expected = other.offset + other.end - other.start if other.is_file else other.offset
        return other[2:5] == self[2:5] and other[6:] == self[6:] and self.offset == expected


class RegionMap:
    """Disjoint regions in order of address."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._regions: list[Region] = []

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)

    def find(self, address: int) -> Region | None:
        """The region holding `address`."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._regions[index].end:
            return self._regions[index]
        return None

    def overlapping(self, start: int, end: int) -> list[Region]:
        """The regions that share an address with `start` … `end`, uncut."""
        first, last = self._range(start, end)
        return self._regions[first:last]

    def covers(self, start: int, end: int) -> bool:
        """Whether every address of `start` … `end` is mapped."""
        reached = start
        for region in self.overlapping(start, end):
            if region.start > reached:
                return False
            reached = region.end
        return reached >= end

    def remove(self, start: int, end: int) -> None:
        """Forget `start` … `end`, splitting regions that stick out."""
        self._replace(start, end, [])

    def add(self, region: Region) -> None:
        """Enter a region in place of whatever was there."""
        self._replace(region.start, region.end, [region])

    def update(self, start: int, end: int, **changes: Any) -> None:
        """Change fields of everything mapped in `start` … `end`."""
        parts = [
            region.part(max(start, region.start), min(end, region.end))._replace(**changes)
            for region in self.overlapping(start, end)
        ]
        self._replace(start, end, parts)

    def highest_gap(self, length: int, low: int, high: int) -> int | None:
        """The highest address of `length` free bytes within `low` … `high`."""
        ceiling = high
        for index in range(bisect_right(self._starts, high - 1) - 1, -1, -1):
            region = self._regions[index]
            if ceiling - max(region.end, low) >= length:
                return ceiling - length
            ceiling = min(ceiling, region.start)
            if ceiling - low < length:
                return None
        return ceiling - length if ceiling - low >= length else None

    def _range(self, start: int, end: int) -> tuple[int, int]:
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self._regions[first].end <= start:
            first += 1
        last = first
        while last < len(self._regions) and self._regions[last].start < end:
            last += 1
        return first, last

    def _replace(self, start: int, end: int, parts: list[Region]) -> None:
        first, last = self._range(start, end)
        old = self._regions[first:last]
        if old and old[0].start < start:
            parts = [old[0].part(old[0].start, start), *parts]
        if old and old[-1].end > end:
            parts = [*parts, old[-1].part(end, old[-1].end)]
        # Neighbours take part, so that regions which have become alike are joined.
        if first > 0:
            first -= 1
            parts = [self._regions[first], *parts]
        if last < len(self._regions):
            parts = [*parts, self._regions[last]]
            last += 1
        joined: list[Region] = []
        for part in parts:
            if joined and joined[-1].end == part.start and part.continues(joined[-1]):
                joined[-1] = joined[-1]._replace(end=part.end)
            else:
                joined.append(part)
        self._regions[first:last] = joined
        self._starts[first:last] = [region.start for region in joined]
