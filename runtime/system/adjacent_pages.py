"""Pages that accesses straddle are put side by side.

A region checks neighbouring accesses together and is left where these lie on two pages, unless the host has the pages
side by side, too. Where that happens again and again, mostly in a stack frame that happens to lie like that, one of the
two machine pages is moved behind, or in front of, the other: where a guest's page lies in machine memory is ours to
choose.
"""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.translation_tables import slot_at
from translator.state import Access, CpuState
from translator.system.views import slot_number

_STRADDLES: Final = 1024
"""Accesses for which a region is left, before something is done about it. All of them take half a millisecond."""
_MOST_STRADDLES: Final = 1 << 20
"""Where nothing can be done: half a second's worth. Another boundary may be next."""
_VIRTUAL_PAGES: Final = 1 << 32 - MACHINE_PAGE_SHIFT


class AdjacentPages:
    """Of one vCPU, on its thread and outside native code."""

    def __init__(self, state: CpuState, memory: PhysicalMemory) -> None:
        self._state: Final = state
        self._memory: Final = memory
        self._patience = _STRADDLES
        state.straddles_left = self._patience
        self.joined = 0
        """How often it has worked."""

    def join_straddled(self) -> None:
        """See to the page boundary next to `straddled`; where nothing can be done, look again later and later."""
        state = self._state
        boundary = state.straddled + MACHINE_PAGE_SIZE // 2 >> MACHINE_PAGE_SHIFT
        state.straddled = 0
        with self._memory.machine.lock:
            first, second = self._frame(boundary - 1), self._frame(boundary)
            done = first is not None and second is not None and self._join(first, second)
        self.joined += done
        self._patience = _STRADDLES if done else min(2 * self._patience, _MOST_STRADDLES)
        state.straddles_left = self._patience

    def _frame(self, virtual_page: int) -> int | None:
        """The physical page behind a virtual page that has a slot, if its machine page is this memory's only."""
        if not 0 <= virtual_page < _VIRTUAL_PAGES:  # no region takes the two ends of memory for neighbours
            return None
        slots = (slot_number(self._state.space, virtual_page, table) for table in (Access.STORE, Access.LOAD))
        value = next(filter(None, (slot_at(self._state, slot) for slot in slots)), None)
        if value is None:
            return None
        host = value + (virtual_page << MACHINE_PAGE_SHIFT) & 0xFFFF_FFFF_FFFF_FFFF
        return self._sole_frame(self._memory.machine.page_at(host))

    def _sole_frame(self, page: int) -> int | None:
        """The physical page that a machine page is for, if that is all it is for and there is no code in it."""
        memory, machine = self._memory, self._memory.machine
        if not 0 <= page < machine.pages or machine.users[page] != 1:
            return None
        number, frame = machine.sole_place(page) or (0, 0)
        if number != memory.number or memory.has_code(frame) or not memory.may_store(frame):
            return None
        return frame

    def _join(self, first: int, second: int) -> bool:
        """Have the machine page of a physical page follow that of another one, if it does not yet."""
        page, following = map(self._memory.machine_page, (first, second))
        if page == following or following == page + 1:
            return False
        return self._move(second, page + 1) or self._move(first, following - 1)

    def _move(self, frame: int, target: int) -> bool:
        """Have a certain machine page, on which something else may move away, for a physical page."""
        memory, machine = self._memory, self._memory.machine
        now = memory.machine_page(frame)
        if not 0 <= target < machine.pages or machine.node_of(target) != machine.node_of(now):
            return False
        if machine.users[target]:
            other = self._sole_frame(target)
            if other is None or not self._map_copy(other, None):
                return False
        return self._map_copy(frame, target)

    def _map_copy(self, frame: int, target: int | None) -> bool:
        """Move a physical page to another machine page of its node; False if it were not the one it should be.

        What has been released last is what is allocated next, mostly.
        """
        memory, machine = self._memory, self._memory.machine
        page = memory.machine_page(frame)
        node = machine.node_of(page)
        if not machine.has_free(node):
            return False
        fresh = machine.allocate(node, zeroed=False)
        if target is None or fresh == target:
            ctypes.memmove(machine.address(fresh), machine.address(page), MACHINE_PAGE_SIZE)
            if machine.counts is not None:
                machine.counts.has_moved(fresh, page)
            memory.move_mapping(frame, fresh)
        machine.release(fresh)  # which is the mapping's now, or nobody's
        return target is None or fresh == target
