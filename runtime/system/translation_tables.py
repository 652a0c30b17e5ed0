"""The host memory of a vCPU's translation tables: one object, mapped linearly and as views."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from typing import Final

from runtime.flat_array import words_in_use, zeros
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    discard_memory,
    map_memory,
    remove_memory,
    unmap_memory,
)
from runtime.system.windows import Windows
from translator.state import CpuState
from translator.system.views import (
    BLOCK_SHIFT,
    HALF_SHIFT,
    SLOT_SHIFT,
    SLOTS,
    SPACE_UNMAPPED,
    SPACES,
    SPACES_SHIFT,
    TABLE_SHIFT,
    TABLES,
    VIEW_SHIFT,
    Level,
    half_slots,
)

_HALF: Final = 1 << HALF_SHIFT + SLOT_SHIFT
_SUPERVISOR_SEGMENT: Final = (6 << 29 >> 12 << SLOT_SHIFT, 1 << 29 - 12 + SLOT_SHIFT)
"""SSEG in a table: offset and size."""
_PHYSICAL_PAGES: Final = 1 << 20
_RECORDS: Final = 1 << 20


class TranslationTables:
    """Tables, back map, and what the state must know of them."""

    def __init__(self, state: CpuState, memory_descriptor: int) -> None:
        """`memory_descriptor`: see `Windows`."""
        self._size: Final = SLOTS << SLOT_SHIFT
        self._descriptor: Final = os.memfd_create("dbt-disco-tables")
        os.ftruncate(self._descriptor, self._size)
        readable = PROT_READ | PROT_WRITE
        reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self._slots: Final = map_memory(0, self._size, readable, MAP_SHARED | MAP_NORESERVE, self._descriptor)
        self._views_size: Final = len(Level) << SPACES_SHIFT << VIEW_SHIFT
        self._views: Final = map_memory(0, self._views_size, PROT_READ, reserved)
        self._heads: Final = map_memory(0, 4 * _PHYSICAL_PAGES, readable, reserved)
        self._records: Final = map_memory(0, 8 * _RECORDS, readable, reserved)
        self._blocks: Final = zeros(ctypes.c_uint8, SLOTS >> BLOCK_SHIFT)
        state.slot_blocks = ctypes.addressof(self._blocks)
        state.views_base, state.slots_base = self._views, self._slots
        state.back_map_heads, state.back_map_records = self._heads, self._records
        state.back_map_used, state.back_map_size = 1, _RECORDS
        self.state: Final = state
        self.windows: Final = Windows(state, memory_descriptor)
        self.make_views(SPACE_UNMAPPED)

    def make_views(self, space: int) -> None:
        """What every privilege level sees in an address space: few of the 256 are ever used, and the host allows
        a process 65,530 mappings.
        """
        for level in Level:
            if space != SPACE_UNMAPPED or level is Level.KERNEL:
                self._map_view(level, space)
        self.state.space_has_views[space] = 1

    def _map_view(self, level: Level, space: int) -> None:
        view = self._views + ((level << SPACES_SHIFT | space) << VIEW_SHIFT)
        for table in range(TABLES):
            at = view + (table << TABLE_SHIFT)
            self._map_part(at, half_slots(space) + (table << HALF_SHIFT), _HALF)
            kernel = half_slots(SPACES) + (table << HALF_SHIFT)
            if level is Level.KERNEL:
                self._map_part(at + _HALF, kernel, _HALF)
            elif level is Level.SUPERVISOR:
                offset, size = _SUPERVISOR_SEGMENT
                self._map_part(at + offset, kernel + (offset - _HALF >> SLOT_SHIFT), size)

    def _map_part(self, address: int, first_slot: int, size: int) -> None:
        flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE
        map_memory(address, size, PROT_READ, flags, self._descriptor, first_slot << SLOT_SHIFT)

    def clear(self) -> None:
        """Empty all tables and the back map."""
        remove_memory(self._slots, self._size)  # the compile thread may be reading there
        discard_memory(self._heads, 4 * _PHYSICAL_PAGES)
        discard_memory(self._records, 8 * _RECORDS)
        discard_memory(self.state.slot_blocks, SLOTS >> BLOCK_SHIFT)
        self.state.back_map_used = 1
        self.windows.clear()

    def is_noted(self, number: int) -> bool:
        """Whether a slot's block is known to have been filled."""
        return bool(self._blocks[number >> BLOCK_SHIFT])

    def memory_in_use(self) -> int:
        """Bytes of host memory behind the slots."""
        return 512 * os.fstat(self._descriptor).st_blocks

    def records(self) -> Iterator[tuple[int, int]]:
        """The back map: (physical page, slot)."""
        heads = (ctypes.c_uint32 * _PHYSICAL_PAGES).from_address(self._heads)
        for frame, number in words_in_use(heads):
            while number:
                number, slot = (ctypes.c_uint32 * 2).from_address(self._records + 8 * number)
                yield frame, slot

    def slots(self) -> Iterator[tuple[int, int]]:
        """What is not empty in the linear mapping: (number of the slot, value)."""
        position = 0
        while True:
            try:
                position = os.lseek(self._descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing more
                    return
                raise
            end = os.lseek(self._descriptor, position, os.SEEK_HOLE)
            values = memoryview(ctypes.string_at(self._slots + position, end - position)).cast("Q")
            first = position >> SLOT_SHIFT
            yield from ((first + number, value) for number, value in enumerate(values) if value)
            position = end

    def close(self) -> None:
        """Give everything back to the host."""
        unmap_memory(self._slots, self._size)
        unmap_memory(self._views, self._views_size)
        unmap_memory(self._heads, 4 * _PHYSICAL_PAGES)
        unmap_memory(self._records, 8 * _RECORDS)
        os.close(self._descriptor)
        self.windows.close()


def slot_at(state: CpuState, number: int) -> int:
    """A slot of the linear mapping."""
    return ctypes.c_uint64.from_address(state.slots_base + (number << SLOT_SHIFT)).value
