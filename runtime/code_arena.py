"""Memory for native code: one stretch of a memfd mapped twice, writable here and executable there.

No page is ever writable and executable at once: code is written through one mapping and run through the other.
Blocks are allocated first fit and can be freed, on any thread.
"""

from __future__ import annotations

import ctypes
import os
from bisect import insort
from threading import Lock
from typing import Final

from runtime.host_descriptors import close_own, out_of_the_way
from runtime.host_memory import (
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    map_memory,
    remove_memory,
    unmap_memory,
)

_ALIGNMENT = 64


class CodeArenaFull(Exception):
    """No stretch of the arena is large enough."""


class CodeArena:
    """`capacity` bytes of address space for code; memory is used as code is placed.

    Code from which the guest's state can be recovered at any access ("precise") lies in the last quarter, so that
    the fault handler can tell by the address.
    """

    def __init__(self, capacity: int = 256 << 20) -> None:
        self.capacity = capacity
        descriptor = out_of_the_way(os.memfd_create("dbt-disco-code", os.MFD_CLOEXEC))
        try:
            os.ftruncate(descriptor, capacity)
            self.base = map_memory(0, capacity, PROT_READ | PROT_EXEC, MAP_SHARED, descriptor)
            self._writable_base = map_memory(0, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor)
        finally:
            close_own(descriptor)
        self.precise_start = capacity // 4 * 3
        """Offset where the part for precise code begins."""
        self._free = [(0, self.precise_start)]
        self._free_precise = [(self.precise_start, capacity - self.precise_start)]
        self.used = 0
        self._lock: Final = Lock()

    def allocate(self, size: int, precise: bool = False) -> int:
        """An offset where `size` bytes are free; a multiple of 64. `CodeArenaFull` if there is none."""
        size = _round_up(size)
        free = self._free_precise if precise else self._free
        with self._lock:
            for index, (start, length) in enumerate(free):
                if length >= size:
                    if length == size:
                        del free[index]
                    else:
                        free[index] = (start + size, length - size)
                    self.used += size
                    return start
        raise CodeArenaFull(f"no {size} bytes left in the code arena of {self.capacity}")

    def free(self, offset: int, size: int) -> None:
        """Give a block back; nothing may run in it any more."""
        size = _round_up(size)
        free = self._free_precise if offset >= self.precise_start else self._free
        with self._lock:
            self.used -= size
            insort(free, (offset, size))
            merged: list[tuple[int, int]] = []
            for start, length in free:
                if merged and merged[-1][0] + merged[-1][1] == start:
                    merged[-1] = (merged[-1][0], merged[-1][1] + length)
                else:
                    merged.append((start, length))
            free[:] = merged

    def reserve(self, size: int) -> int:
        """The same for one who deals it out: it does not count as used."""
        start = self.allocate(size)
        with self._lock:
            self.used -= _round_up(size)
        return start

    @property
    def writable_base(self) -> int:
        """Host address at which what is at offset 0 can be written to."""
        return self._writable_base

    def discard(self, offset: int, size: int) -> None:
        """Give the memory of a block back to the host, while the block stays allocated; whole pages."""
        remove_memory(self._writable_base + offset, size)

    def write(self, offset: int, data: bytes | bytearray) -> None:
        ctypes.memmove(self._writable_base + offset, bytes(data), len(data))

    def write_word(self, offset: int, value: int) -> None:
        """Store 32 bits at a multiple of 4, all at once to whoever runs code that loads them."""
        ctypes.c_uint32.from_address(self._writable_base + offset).value = value

    def close(self) -> None:
        """Unmap everything; no code of the arena may be used afterwards."""
        unmap_memory(self.base, self.capacity)
        unmap_memory(self._writable_base, self.capacity)


def _round_up(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
