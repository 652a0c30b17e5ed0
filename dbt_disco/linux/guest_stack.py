"""The stack of a guest's main thread."""

from __future__ import annotations

from typing import Final

from dbt_disco.linux.memory_usage import STACK, lowest_used_page
from runtime.address_space import AddressSpace, page_start

STACK_GUARD: Final = 1 << 20
"""Kept free below the stack, so that an overflow faults (Linux: stack_guard_gap)."""
STACK_ROOM: Final = 128 << 20
"""How far at least the stack can grow when its limit is raised (Linux: MIN_GAP of mmap_base)."""


class GuestStack:
    """Linux extends a stack at the fault, as far as its limit allows; here it is mapped so far beforehand."""

    def __init__(self, space: AddressSpace, top: int) -> None:
        """`top`: the end of the mapping called `[stack]`."""
        self._space = space
        self._top = top
        region = space.regions.find(top - 1)
        self._bottom = region.start if region is not None and region.name == STACK else top

    def set_limit(self, size: int, stack_pointer: int) -> None:
        """Let it have `size` bytes; never less than it uses, and not more than there are free addresses."""
        wanted = page_start(max(self._top - size, 0))
        if wanted < self._bottom < self._top:
            self._extend(wanted)
        elif wanted > self._bottom:
            self._reduce(wanted, stack_pointer)

    def _extend(self, wanted: int) -> None:
        below = self._space.regions.overlapping(0, self._bottom)
        lowest = below[-1].end + STACK_GUARD if below else self._space.search_bottom
        start = max(wanted, lowest, self._space.search_top + STACK_GUARD)
        region = self._space.regions.find(self._bottom)
        if start < self._bottom and region is not None:
            self._space.map_anonymous(start, self._bottom - start, region.protection, name=STACK)
            self._bottom = start

    def _reduce(self, wanted: int, stack_pointer: int) -> None:
        if self._bottom <= stack_pointer < self._top:
            wanted = min(wanted, page_start(stack_pointer))
        end = min(wanted, lowest_used_page(self._space, self._bottom, wanted))
        if end > self._bottom:
            self._space.unmap(self._bottom, end - self._bottom)
            self._bottom = end
