"""The host memory of a vCPU's windows (`translator.system.windows`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from runtime.flat_array import words_in_use
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    discard_memory,
    map_memory,
    unmap_memory,
)
from translator.state import Access, CpuState
from translator.system.views import BLOCK_IN_WINDOW, BLOCK_SHIFT, HALF_SHIFT, SLOTS, TABLES
from translator.system.windows import (
    COUNT_SIZE,
    GUARD_SIZE,
    HIDDEN,
    PLACES_SIZE,
    WINDOW_DISTANCE,
    WINDOWS_SIZE,
)

_RESERVED: Final = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
_PAGE: Final = 4096
_SHARE: Final = 3, 4
"""Of the mappings that the host allows a process, what may be pages in windows."""
_USUAL_MAPPINGS: Final = 65_530


class Place(NamedTuple):
    """A user page that can be accessed in a window."""

    space: int
    page: int
    host: int
    """Host address of the machine page."""
    is_writable: bool


class Windows:
    """Address space in which native code maps the pages of user programs."""

    def __init__(self, state: CpuState, memory_descriptor: int) -> None:
        """`memory_descriptor`: of the object that machine memory is."""
        self._state: Final = state
        self._address: Final = map_memory(0, WINDOWS_SIZE + 2 * GUARD_SIZE, PROT_NONE, _RESERVED)
        self._places: Final = map_memory(0, _PAGE + PLACES_SIZE, PROT_READ | PROT_WRITE, _RESERVED)
        state.windows_base = self._address + GUARD_SIZE
        state.window_places = self._places + _PAGE
        state.memory_descriptor = memory_descriptor
        _sharing.add(state)

    @property
    def count(self) -> int:
        """How many places have a page."""
        return int(ctypes.c_uint64.from_address(self._state.window_places - COUNT_SIZE).value)

    def places(self) -> Iterator[Place]:
        """What native code has noted to be accessible."""
        blocks = (ctypes.c_uint8 * (SLOTS >> BLOCK_SHIFT)).from_address(self._state.slot_blocks)
        for block, known in words_in_use(blocks):
            half, table = divmod(block >> HALF_SHIFT - BLOCK_SHIFT, TABLES)
            if not known & BLOCK_IN_WINDOW or table != Access.LOAD:
                continue
            first = block << BLOCK_SHIFT & (1 << HALF_SHIFT) - 1
            at = self._state.window_places + (half << HALF_SHIFT + 3) + 8 * first
            for number, word in enumerate((ctypes.c_uint64 * (1 << BLOCK_SHIFT)).from_address(at)):
                if word and not word & HIDDEN:
                    yield Place(half, first + number, word & -_PAGE, bool(word & PROT_WRITE))

    def mapped(self) -> Iterator[Place]:
        """The same as the host's kernel has it; see proc_pid_maps(5)."""
        base = self._state.windows_base
        with open("/proc/self/maps", encoding="ascii") as maps:
            for line in maps:
                area, protection, offset, *_ = line.split()
                start, end = (int(address, 16) for address in area.split("-"))
                if base <= start < base + WINDOWS_SIZE and protection[0] == "r":
                    for at in range(start, end, _PAGE):
                        space, address = divmod(at - base, WINDOW_DISTANCE)
                        host = self._state.machine_base + int(offset, 16) + at - start
                        yield Place(space, address // _PAGE, host, protection[1] == "w")

    def clear(self) -> None:
        """Take everything out."""
        map_memory(self._state.windows_base, WINDOWS_SIZE, PROT_NONE, _RESERVED | MAP_FIXED)
        discard_memory(self._places, _PAGE + PLACES_SIZE)

    def close(self) -> None:
        """Give everything back to the host."""
        _sharing.remove(self._state)
        unmap_memory(self._address, WINDOWS_SIZE + 2 * GUARD_SIZE)
        unmap_memory(self._places, _PAGE + PLACES_SIZE)


class _Sharing:
    """Every page in a window may be a mapping of its own, of which the host allows a process so many."""

    def __init__(self) -> None:
        self._states: list[CpuState] = []
        self._lock: Final = Lock()

    def add(self, state: CpuState) -> None:
        with self._lock:
            self._states.append(state)
            self._divide()

    def remove(self, state: CpuState) -> None:
        with self._lock:
            self._states = [other for other in self._states if other is not state]
            self._divide()

    def _divide(self) -> None:
        try:
            most = int(Path("/proc/sys/vm/max_map_count").read_text())
        except (OSError, ValueError):
            most = _USUAL_MAPPINGS
        part, whole = _SHARE
        for state in self._states:
            state.windows_most = most * part // whole // len(self._states)


_sharing: Final = _Sharing()
