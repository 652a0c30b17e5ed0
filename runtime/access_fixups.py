"""Where native code goes on when one of its memory accesses faults, by the address of the instruction.

The compiled code of a region has a list of them in a section of its own (`translator.system.windowed_access`). For the
fault's handler they are in a table as long as the arena: an i32 for every two bytes, as no access takes less; the
distance from the instruction to where to go, 0 for none.
"""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    map_memory,
    unmap_memory,
)


class AccessFixups:
    """For one arena."""

    def __init__(self, capacity: int) -> None:
        self._size: Final = 2 * capacity
        reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.address: Final = map_memory(0, self._size, PROT_READ | PROT_WRITE, reserved)

    def note(self, fixups: dict[int, int]) -> None:
        """Arena offset of an access → that of its fixup. Before the code can run."""
        for access, target in fixups.items():
            ctypes.c_int32.from_address(self.address + 2 * (access & -2)).value = target - access

    def forget(self, offset: int, size: int) -> None:
        """The code of a block of the arena is gone."""
        ctypes.memset(self.address + 2 * offset, 0, 2 * size)

    def close(self) -> None:
        """Give the memory back to the host."""
        unmap_memory(self.address, self._size)
