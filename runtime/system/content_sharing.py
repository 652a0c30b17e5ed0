"""Making one of pages of virtual machines that hold the same.

Virtual machines that have booted the same kernel hold much that is equal without being shared: what each has computed
for itself, and memory that was freed, which holds the same poison, or zeros. Such pages become one, mapped read-only; a
store gives a virtual machine its own again.

Looking for them and joining them are two things. A *look* computes digests of pages while all virtual machines run:
what it finds is a guess, of pages that have not changed since the look before. `join` compares, and changes mappings:
for that, the virtual machines concerned must be outside native code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from itertools import islice
from time import monotonic_ns
from typing import Final, NamedTuple

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.flat_array import words_in_use
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_digests import page_digests
from runtime.system.physical_memory import PhysicalMemory

_LOOKED_AT_TOGETHER: Final = 1024
"""Pages that are digested by one native call."""
MOST_MATCHES: Final = 1 << 13
"""Of one look; what is beyond that, the next one finds."""
_BUCKET_SHIFT: Final = 64 - 20
"""Of a digest, to the number that it begins with."""

Place = tuple[PhysicalMemory, int]
"""A physical page of a virtual machine."""


class Match(NamedTuple):
    """A page that may hold what another one does."""

    place: Place
    digest: int
    other: Place | None
    """Where the other one is; None: it is one that pages have been joined to before."""

    @property
    def memories(self) -> frozenset[PhysicalMemory]:
        """Of the virtual machines that must be outside native code for it to be joined."""
        return frozenset(memory for memory, _ in (self.place, self.other or self.place))


class ContentSharing:
    """On one machine. `look` and `join` may be called on different threads, but each on one at a time."""

    def __init__(self, machine: MachineMemory, *, use_cache: bool = True) -> None:
        """`use_cache`: whether the native routine is read from and written to the cache on disk."""
        self._machine: Final = machine
        self._digest_run: Final = page_digests(use_cache).digest_run
        self._seen: dict[PhysicalMemory, list[ctypes.Array[ctypes.c_uint32]]] = {}
        """By virtual machine, for each range of its memory: digests of the last look, shortened to 32 bits."""
        self._joined: Final[dict[int, int]] = {}
        """Digest → the page that pages which hold this have become. It has no use of the page: that may be gone."""
        self.looked_at = 0
        """Physical pages, in all looks."""
        self.joined = 0
        """Machine pages that have become free."""

    def look(self, memories: Iterable[PhysicalMemory]) -> list[Match]:
        """Pages of virtual machines that may be joined, those of the same virtual machines beside each other."""
        memories = list(memories)
        self._seen = {memory: self._seen.get(memory) or _nothing_seen(memory) for memory in memories}
        users = self._machine.users
        for digest, page in list(self._joined.items()):
            if users[page] < 2:  # its user may store to it; it is found again as any other
                del self._joined[digest]
        matches = list(islice(self._matches(memories), MOST_MATCHES))
        matches.sort(key=lambda match: sorted(memory.number for memory in match.memories))
        return matches

    def _matches(self, memories: list[PhysicalMemory]) -> Iterator[Match]:
        found = [
            (memory, part.start, self._digests(memory, part, seen))
            for memory in memories
            for part, seen in zip(memory.ranges, self._seen[memory], strict=True)
        ]
        may_be_equal = self._may_be_equal(digests for _, _, digests in found)
        flags = self._machine.decoded.flags
        firsts: dict[int, Place] = {}
        for memory, start, digests in found:
            for index, digest in words_in_use(digests):
                if may_be_equal[digest >> _BUCKET_SHIFT] > 1:
                    page = _page_of(memory, start + index)
                    if (
                        page is not None and flags[page]
                    ):  # others become this one, as its code has been decoded
                        firsts.setdefault(digest, (memory, start + index))
        for memory, start, digests in found:
            for index, digest in words_in_use(digests):
                if digest in self._joined:
                    yield Match((memory, start + index), digest, None)
                elif may_be_equal[digest >> _BUCKET_SHIFT] > 1:
                    place = memory, start + index
                    if (first := firsts.setdefault(digest, place)) != place:
                        yield Match(place, digest, first)

    def _may_be_equal(self, found: Iterable[ctypes.Array[ctypes.c_uint64]]) -> bytearray:
        """How many digests begin with each number, as far as two: most pages are like no other, and need not be noted
        one by one."""
        counts = bytearray(1 << 64 - _BUCKET_SHIFT)
        for digests in found:
            for _, digest in words_in_use(digests):
                bucket = digest >> _BUCKET_SHIFT
                if counts[bucket] < 2:
                    counts[bucket] += 1
        return counts

    def join(self, matches: list[Match], until: int) -> int:
        """Take matches from the end of the list and join them, one at least, until a time in terms of
        `time.monotonic_ns`; returns how many machine pages have become free."""
        freed = 0
        with self._machine.lock:
            while matches:
                freed += self._join(matches.pop())
                if monotonic_ns() >= until:
                    break
        self.joined += freed
        return freed

    def _digests(
        self, memory: PhysicalMemory, part: range, seen: ctypes.Array[ctypes.c_uint32]
    ) -> ctypes.Array[ctypes.c_uint64]:
        """By physical page: the digest of those that might be joined, 0 for others."""
        digests = (ctypes.c_uint64 * len(part))()
        machine = self._machine
        words, old, new = (ctypes.addressof(array) for array in (memory.pmap, seen, digests))
        for first in range(0, len(part), _LOOKED_AT_TOGETHER):
            self._digest_run(
                words + 8 * (part.start + first),
                min(_LOOKED_AT_TOGETHER, len(part) - first),
                machine.base,
                ctypes.addressof(machine.users),
                old + 4 * first,
                new + 8 * first,
            )
        self.looked_at += len(part)
        return digests

    def _join(self, match: Match) -> bool:
        """Whether a page has become free."""
        users = self._machine.users
        (memory, frame), digest, other = match
        page = _page_of(memory, frame)
        if page is None or users[page] != 1:
            return False
        target = self._joined_page(digest, page)
        if target is None and other is not None:
            target = _page_of(*other)
            if target is None or not self._hold_the_same(page, target):
                return False
            if users[target] == 1:
                other[0].forbid_stores(other[1])
        if target is None:
            return False
        entry = (ctypes.c_uint32 * 1)(target + 1)
        memory.map_run(frame, entry, 0, 1)
        self._machine.copied_at[frame] = 0  # it may be stored to here again without the ones around it
        self._joined[digest] = target
        return True

    def _joined_page(self, digest: int, page: int) -> int | None:
        """What pages that hold the same as one have become, if that is still so and nobody may store to it."""
        found = self._joined.get(digest)
        if found is not None and (self._machine.users[found] < 2 or not self._hold_the_same(page, found)):
            found = None
            del self._joined[digest]
        return found

    def _hold_the_same(self, page: int, other: int) -> bool:
        address = self._machine.address
        contents, others = (ctypes.string_at(address(number), MACHINE_PAGE_SIZE) for number in (page, other))
        return contents == others


def _nothing_seen(memory: PhysicalMemory) -> list[ctypes.Array[ctypes.c_uint32]]:
    return [(ctypes.c_uint32 * len(part))() for part in memory.ranges]


def _page_of(memory: PhysicalMemory, frame: int) -> int | None:
    """The machine page of a physical page, if it has one; the virtual machine may run, and take it away."""
    word = memory.pmap[frame]
    return memory.machine.page_at(word & -MACHINE_PAGE_SIZE) if word else None
