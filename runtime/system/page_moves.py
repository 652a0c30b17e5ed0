"""Moving machine pages between nodes: migration, and replication of pages that are only read.

This is the mechanism; what should move, a policy says. A page that only virtual machines use migrates: it is copied,
and wherever it was mapped the copy is. A page that is shared read-only, which a cache may have, too, is replicated: its
*set* is the page and copies of it on other nodes, at most one on each, and a virtual machine has the one on its node
mapped. Nobody can store to a member of a set, as the set is one of its users: a store gives the virtual machine a page
of its own, by the same copy-on-write as ever, before anything of it is visible. Members that nobody else uses are given
up by `sweep`, and when memory runs out.

All virtual machines that have a page mapped must be outside native code while it moves. Code that was decoded is there
in the copy as well; regions stay behind, and are installed in the copy when control comes by (`DecodedPages.copy`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.flat_array import words_in_use
from runtime.system.machine_memory import MachineMemory, OutOfMachineMemory
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory


class PageMoves:
    """Migration and replication on one machine."""

    def __init__(self, machine: MachineMemory, memories: Callable[[], Mapping[int, PhysicalMemory]]) -> None:
        """`memories`: those of all virtual machines there are, by `PhysicalMemory.number`."""
        self._machine: Final = machine
        self._memories: Final = memories
        self._reclaim_more: Final = machine.reclaim
        machine.reclaim = self._reclaim
        self._next: Final = (ctypes.c_uint32 * machine.pages)()
        """Member of a set → entry of the next one."""
        self._first: Final = (ctypes.c_uint32 * machine.pages)()
        """Member of a set → entry of the first one."""
        machine.page_copied = self._page_copied
        self.migrated = 0
        self.replicated = 0
        """Pages copied for another node."""
        self.collapsed = 0
        """Pages of sets that a virtual machine has stored to."""
        self.moved_to: Final = [0] * machine.nodes
        """Pages that have migrated or been copied to each node."""

    # Migration.

    def migrate(self, page: int, node: int) -> int | None:
        """Move a page to a node; its new number.

        None if it stays: it is free or there already, others than virtual machines use it, or the node is full.
        """
        machine = self._machine
        with machine.lock:
            places = list(machine.places(page))
            if machine.users[page] != len(places) or not places or machine.node_of(page) == node:
                return None
            fresh = self._copy(page, node, replaces=True)
            if fresh is None:
                return None
            memories = self._memories()
            self._note_move(page, fresh)
            for number, frame in places:
                memories[number].move_mapping(frame, fresh)
            machine.release(fresh)  # which is the mappings' now
            self.migrated += 1
            self.moved_to[node] += 1
            return fresh

    def migrate_run(self, pages: Sequence[int], memory: PhysicalMemory, node: int) -> list[int]:
        """Move pages that are memory of one virtual machine's own, without code; those that are not, which stay.

        Ends, with the rest among those, where the node is full.
        """
        machine = self._machine
        if not pages:
            return []
        with machine.lock:
            entries = (ctypes.c_uint32 * len(pages))(*(page + 1 for page in pages))
            done = memory.migrate_run(entries, node)
            left = [page for page, entry in zip(pages, entries[:done], strict=False) if not entry]
            self.migrated += done - len(left)
            self.moved_to[node] += done - len(left)
            return [*left, *pages[done:]]

    # Replication.

    def replicate(self, page: int, node: int) -> int | None:
        """Have the virtual machines on a node use a member of the page's set that is there; its number.

        None if that cannot be: one of them may store to the page, none of them uses it, or the node is full.
        """
        machine, memories = self._machine, self._memories()
        with machine.lock:
            places = [place for member in self.members(page) for place in machine.places(member)]
            wanted = [(n, f) for n, f in places if memories[n].user_node == node]
            if not wanted or any(memories[n].may_store(f) for n, f in places):
                return None
            member = next((m for m in self.members(page) if machine.node_of(m) == node), None)
            if member is None:
                member = self._copy(page, node, replaces=False)
                if member is None:
                    return None
                self._add(page, member)
                self._note_move(page, member)
                self.replicated += 1
                self.moved_to[node] += 1
            for number, frame in wanted:
                if memories[number].machine_page(frame) != member:
                    memories[number].move_mapping(frame, member)
            return member

    def sweep(self) -> int:
        """Give up the members of sets that only their sets use; returns how many."""
        freed = 0
        with self._machine.lock:
            for first in self._sets():
                members = list(self.members(first))
                kept = [member for member in members if self._machine.users[member] > 1]
                if len(kept) < len(members):
                    freed += self._give_up(members, kept if len(kept) > 1 else [])
        return freed

    def held(self) -> EntryList:
        """All members of sets, for the auditor."""
        members = [member + 1 for first in self._sets() for member in self.members(first)]
        return (ctypes.c_uint32 * len(members))(*members)

    def _note_move(self, page: int, fresh: int) -> None:
        if self._machine.counts is not None:
            self._machine.counts.has_moved(fresh, page)

    def _page_copied(self, page: int) -> None:
        """See `MachineMemory.page_copied`."""
        self.collapsed += self._first[page] != 0

    def _sets(self) -> list[int]:
        """The first members of all sets."""
        return [page for page, first in words_in_use(self._first) if first == page + 1]

    def members(self, page: int) -> Iterator[int]:
        """The set of a page, or the page alone if it has none."""
        entry = self._first[page] or page + 1
        while entry:
            yield entry - 1
            entry = self._next[entry - 1]

    def _add(self, page: int, member: int) -> None:
        """A new member, whose user the set is, for the set of a page, which need not have one yet."""
        if not self._first[page]:
            self._machine.share(page)
            self._first[page] = page + 1
        first = self._first[page] - 1
        self._first[member] = first + 1
        self._next[member], self._next[first] = self._next[first], member + 1

    def _give_up(self, members: list[int], kept: list[int]) -> int:
        """Make a set one of some of its members, or of none; how many pages became free."""
        freed = 0
        for member in members:
            self._first[member] = self._next[member] = 0
        for member in members:
            if member not in kept:
                freed += self._machine.users[member] == 1
                self._machine.release(member)
        for position, member in enumerate(kept):
            self._first[member] = kept[0] + 1
            self._next[member] = kept[position + 1] + 1 if position + 1 < len(kept) else 0
        return freed

    def _copy(self, page: int, node: int, *, replaces: bool) -> int | None:
        """A copy of a page on a node, perhaps to be used instead; None if that has no free page."""
        machine = self._machine
        if not machine.has_free(node):
            return None
        try:
            fresh = machine.allocate(node, zeroed=False)
        except OutOfMachineMemory:
            return None
        ctypes.memmove(machine.address(fresh), machine.address(page), MACHINE_PAGE_SIZE)
        machine.decoded.copy(page, fresh, replaces=replaces)
        return fresh

    def _reclaim(self, wanted: int) -> int:
        """See `MachineMemory.reclaim`."""
        freed = self.sweep()
        if freed < wanted and self._reclaim_more is not None:
            freed += self._reclaim_more(wanted - freed)
        return freed
