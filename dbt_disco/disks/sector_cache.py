"""The global disk cache: pages of images and of files that virtual machines boot from, once for all of them.

A file's pages are in a flat array by their position, 4 bytes each, so that a run of them is mapped natively. They are
only read here; a virtual machine that stores to one gets a copy. What nobody else uses is given up when machine
memory runs out, what has not been asked for the longest first.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory

_GROUP: Final = 64
"""Pages that are given up together."""
_READ_TOGETHER: Final = 256
"""Pages that are read by one call: what a failing read may hold for nothing."""

_Identity = tuple[int, int, int, int, int]
"""Device, inode, size, and when contents and file were last changed."""


class CachedFile:
    """The pages of one file. Those at different *phases*, offsets within a page, have nothing to do with each other:
    a file system may begin anywhere on a disk, an executable's segment anywhere in a file."""

    def __init__(self, path: Path, size: int) -> None:
        self.path: Final = path
        """What it was called when it was opened first."""
        self.size: Final = size
        """Of the file, in bytes."""
        self.open_count = 0
        self.hits = 0
        """Pages asked for that were there."""
        self.misses = 0
        """Pages asked for that had to be read."""
        self.pages = 0
        """Pages that are there."""
        self._phases: dict[int, EntryList] = {}

    def entries(self, phase: int) -> EntryList:
        """The pages at one phase; the last one is whole, too."""
        found = self._phases.get(phase)
        if found is None:
            count = max((self.size - phase) // MACHINE_PAGE_SIZE, 1)
            found = self._phases[phase] = (ctypes.c_uint32 * count)()
        return found

    def all_entries(self) -> Iterator[EntryList]:
        """Those of all phases."""
        return iter(self._phases.values())


class SectorCache:
    """The cache of one machine."""

    def __init__(self, memory: MachineMemory) -> None:
        self._memory: Final = memory
        memory.reclaim = self._reclaim
        self._files: dict[_Identity, CachedFile] = {}
        self._recent: OrderedDict[tuple[CachedFile, int, int], None] = OrderedDict()
        """Groups of pages (file, phase, number), the most recently used last."""
        self._being_read: Final[list[EntryList]] = []
        """Pages that are not here yet, but are ours."""

    def files(self) -> list[CachedFile]:
        """All there are."""
        with self._memory.lock:
            return list(self._files.values())

    def held(self) -> list[EntryList]:
        """The pages that are here or being read, for the auditor: under the machine memory's lock."""
        return [*self._being_read, *(entries for file in self.files() for entries in file.all_entries())]

    def open(self, descriptor: int, path: Path) -> CachedFile:
        """The pages of an open file, which is called `path`, as it is now. Nobody may change it before `close`."""
        status = os.fstat(descriptor)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        identity = (status.st_dev, status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns)
        with self._memory.lock:
            for other in [key for key in self._files if key[:2] == identity[:2] and key != identity]:
                if not self._files[other].open_count:  # the file has been changed since
                    self._drop(other)
            file = self._files.setdefault(identity, CachedFile(path, size))
            file.open_count += 1
            return file

    def close(self, file: CachedFile, descriptor: int) -> None:
        """Its pages may stay, unless one could not tell that they have changed."""
        with self._memory.lock:
            file.open_count -= 1
            if not file.open_count and stat.S_ISBLK(os.fstat(descriptor).st_mode):
                self._drop(next(key for key, value in self._files.items() if value is file))

    def map(
        self,
        file: CachedFile,
        descriptor: int,
        offset: int,
        memory: PhysicalMemory,
        runs: Sequence[tuple[int, int]],
    ) -> None:
        """Map pages of a file, from byte `offset` on, read-only at runs of (first physical page, count).

        They must all be in the file, and all be memory. OSError if they cannot be read, OutOfMachineMemory.
        """
        first, phase = divmod(offset, MACHINE_PAGE_SIZE)
        entries = file.entries(phase)
        lock, map_run = self._memory.lock, memory.map_run
        missed = 0
        at = first
        with lock:
            self._use(file, phase, first, sum(count for _, count in runs))
            for frame, count in runs:
                done = map_run(frame, entries, at, count)
                while done < count:
                    lock.release()  # others may go on while the host reads
                    try:
                        missed += self._read(file, descriptor, phase, at + done, count - done, memory.node)
                    finally:
                        lock.acquire()
                    done += map_run(frame + done, entries, at + done, count - done)
                at += count
        file.misses += missed
        file.hits += at - first - missed

    def copy(self, file: CachedFile, descriptor: int, offset: int, length: int, node: int = 0) -> bytes:
        """Some bytes of whole pages of a file. OSError, OutOfMachineMemory."""
        entries, lock = file.entries(0), self._memory.lock
        number, end = offset // MACHINE_PAGE_SIZE, -(-(offset + length) // MACHINE_PAGE_SIZE)
        with lock:
            self._use(file, 0, number, end - number)
        parts: list[bytes] = []
        skipped = offset % MACHINE_PAGE_SIZE
        file.hits += end - number
        while number < end:
            with lock:
                while number < end and (entry := entries[number]):
                    host = self._memory.address(entry - 1)
                    size = min(MACHINE_PAGE_SIZE - skipped, length)
                    parts.append(ctypes.string_at(host + skipped, size))
                    length -= size
                    skipped = 0
                    number += 1
            if number < end:
                missed = self._read(file, descriptor, 0, number, end - number, node)
                file.misses += missed
                file.hits -= missed
        return b"".join(parts)

    def _use(self, file: CachedFile, phase: int, first: int, count: int) -> None:
        """Note that pages are asked for; under the lock."""
        recent = self._recent
        for group in range(first // _GROUP, (first + count - 1) // _GROUP + 1):
            key = file, phase, group
            if key in recent:
                recent.move_to_end(key)
            else:
                recent[key] = None

    def _read(self, file: CachedFile, descriptor: int, phase: int, first: int, count: int, node: int) -> int:
        """Read the page numbered `first`, which is not there, and those behind it that are not; how many."""
        entries, memory = file.entries(phase), self._memory
        count = min(count, _READ_TOGETHER)
        wanted = next((number for number in range(1, count) if entries[first + number]), count)
        fresh = (ctypes.c_uint32 * wanted)()
        with memory.lock:
            memory.allocate_run(fresh, node, zeroed=False)
            self._being_read.append(fresh)
        try:
            offset = first * MACHINE_PAGE_SIZE + phase
            read_exactly(descriptor, self._buffers(fresh), offset, wanted * MACHINE_PAGE_SIZE)
            with memory.lock:
                for number in range(wanted):
                    if not entries[first + number]:  # still
                        entries[first + number], fresh[number] = fresh[number], 0
                        file.pages += 1
                self._use(file, phase, first, wanted)
        finally:
            with memory.lock:
                memory.release_run(fresh, wanted)
                self._being_read.remove(fresh)
        return wanted

    def _buffers(self, entries: EntryList) -> list[ctypes.Array[ctypes.c_char]]:
        """The memory of some pages, in as few pieces as there are."""
        starts = [0, *(n for n, (a, b) in enumerate(pairwise(entries), 1) if b != a + 1), len(entries)]
        return [
            (ctypes.c_char * ((end - start) * MACHINE_PAGE_SIZE)).from_address(
                self._memory.address(entries[start] - 1)
            )
            for start, end in pairwise(starts)
        ]

    def _reclaim(self, wanted: int) -> int:
        """Give up pages that only we use; see `MachineMemory.reclaim`."""
        freed = 0
        for key in list(self._recent):
            file, phase, group = key
            entries = file.entries(phase)
            first = group * _GROUP
            count = min(_GROUP, len(entries) - first)
            now = self._memory.release_run(entries, count, first=first, only_unused=True)
            file.pages -= now
            freed += now
            if now and not any(entries[first : first + count]):
                del self._recent[key]
            if freed >= wanted:
                break
        return freed

    def _drop(self, identity: _Identity) -> None:
        """Forget a file that nobody has open."""
        file = self._files.pop(identity)
        for entries in file.all_entries():
            self._memory.release_run(entries, len(entries))
        file.pages = 0
        for key in [key for key in self._recent if key[0] is file]:
            del self._recent[key]


def read_exactly(
    descriptor: int, buffers: list[ctypes.Array[ctypes.c_char]], offset: int, length: int
) -> None:
    """Fill buffers of `length` bytes in all from a file. OSError if it ends before."""
    done = os.preadv(descriptor, buffers, offset)
    if done == length:
        return
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    while done < length:
        skipped = done
        rest: list[memoryview] = []
        for view in views:
            rest.append(view[min(skipped, len(view)) :])
            skipped -= min(skipped, len(view))
        more = os.preadv(descriptor, [view for view in rest if len(view)], offset + done)
        if not more:
            raise OSError(errno.EIO, "the file has become shorter")
        done += more
