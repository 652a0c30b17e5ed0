"""The heap that `brk` moves the end of."""

from __future__ import annotations

from dbt_disco.linux.memory_limits import MemoryLimits
from runtime.address_space import READ, WRITE, AddressSpace, page_end


class ProgramBreak:
    """The break of one process."""

    def __init__(self, space: AddressSpace, start: int, limits: MemoryLimits) -> None:
        self._space = space
        self._limits = limits
        self._start = start
        self._end = start

    def move(self, wanted: int) -> int:
        """Set the break if that is possible; returns where it is now (Linux's brk never fails otherwise)."""
        if wanted < self._start:
            return self._end
        old, new = page_end(self._end), page_end(wanted)
        try:
            if new > old:
                if new > self._space.search_top or self._space.regions.overlapping(old, new):
                    return self._end
                self._limits.check(new - old, data=new - old)
                self._space.map_anonymous(old, new - old, READ | WRITE, name="[heap]")
            elif new < old:
                self._space.unmap(new, old - new)
        except OSError:
            return self._end
        self._end = wanted
        return wanted
