"""Physical memory and the bus, byte by byte."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final, Literal

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from translator.system.views import MACHINE_CODE, PMAP_WRITABLE

if TYPE_CHECKING:
    from runtime.system.vcpu import Bus

_OFFSET: Final = MACHINE_PAGE_SIZE - 1
_LARGEST_REGISTER: Final = 4


class BusAccess:
    """Accesses that have been translated."""

    def __init__(self, memory: PhysicalMemory, bus: Bus, *, big_endian: bool) -> None:
        self._memory: Final = memory
        self._bus: Final = bus
        self._order: Final[Literal["big", "little"]] = "big" if big_endian else "little"
        machine = memory.machine
        self._base: Final = machine.base
        size = machine.pages << MACHINE_PAGE_SHIFT
        # Every byte of the machine, without a Python call per access.
        self._bytes: Final = memoryview((ctypes.c_uint8 * size).from_address(machine.base)).cast("B")

    def close(self) -> None:
        """Let go of the machine's memory."""
        self._bytes.release()

    def read(self, address: int, size: int) -> int:
        """What is at a physical address: memory, or a device's register."""
        word = self.read_memory(address, size)
        if word is not None:
            return word
        if size <= _LARGEST_REGISTER:
            return self._bus.read(address, size)
        halves = [self._bus.read(at, 4) for at in (address, address + 4)]
        first, second = halves if self._order == "big" else reversed(halves)
        return first << 32 | second

    def read_memory(self, address: int, size: int) -> int | None:
        """None if there is no memory."""
        frame = address >> MACHINE_PAGE_SHIFT
        if not self._memory.pmap[frame] and not self._memory.touch(frame):
            return None
        start = (self._memory.pmap[frame] & ~_OFFSET) - self._base + (address & _OFFSET)
        return int.from_bytes(self._bytes[start : start + size], self._order)

    def write(self, address: int, size: int, value: int) -> None:
        """Store to memory, or to a device's register."""
        data = value.to_bytes(size, self._order)
        frame = address >> MACHINE_PAGE_SHIFT
        if self._memory.touch(frame):
            if not self._is_writable(frame):
                self._memory.make_writable(frame)
            start = (self._memory.pmap[frame] & ~_OFFSET) - self._base + (address & _OFFSET)
            self._bytes[start : start + size] = data
            return
        for at in range(0, size, _LARGEST_REGISTER):
            part = data[at : at + _LARGEST_REGISTER]
            self._bus.write(address + at, len(part), int.from_bytes(part, self._order))

    def _is_writable(self, frame: int) -> bool:
        """The page is the virtual machine's own, and native code has decoded nothing on it."""
        word, memory = self._memory.pmap[frame], self._memory
        has_code = memory.decoded.flags[memory.machine.page_at(word & ~_OFFSET)] & MACHINE_CODE
        return bool(word & PMAP_WRITABLE) and not has_code
