"""The rest of a virtual machine around a virtio device: memory, wire, time, and accesses to its registers."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from dbt_disco.devices.device import NotMemory
from dbt_disco.devices.virtio.transport import VirtioMmio
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from runtime.addresses import PhysicalAddress
from tests.dbt_disco.devices.surroundings import ManualSurroundings, RecordedLine

RAM_START: Final = 0x4000_0000
"""Where memory begins: not at 0, so that address 0 is none; and where QEMU's "virt" board has it."""
RAM_LENGTH: Final = 16 << 20


class GuestRam:
    """Memory from `RAM_START` on that remembers what was released, and counts accesses and bytes."""

    def __init__(self, length: int = RAM_LENGTH) -> None:
        self.data = bytearray(length)
        self.released: list[tuple[int, int]] = []
        self.accesses = 0
        self.moved = 0

    def _offset(self, address: int, length: int) -> int:
        if not (address >= RAM_START and address + length <= RAM_START + len(self.data)):
            raise NotMemory(address, length)
        self.accesses += 1
        self.moved += length
        return address - RAM_START

    def read(self, address: PhysicalAddress, length: int) -> bytes:
        offset = self._offset(address, length)
        return bytes(self.data[offset : offset + length])

    def write(self, address: PhysicalAddress, data: bytes | bytearray | memoryview) -> None:
        offset = self._offset(address, len(data))
        self.data[offset : offset + len(data)] = data

    def release(self, address: PhysicalAddress, length: int) -> None:
        assert length > 0 and address % 4096 == length % 4096 == 0
        offset = self._offset(address, length)
        self.released.append((address, length))
        self.data[offset : offset + length] = bytes(length)


class Machine(Protocol):
    """What a driver reaches: the registers of one device, little-endian, and memory."""

    def load(self, offset: int, size: int = 4) -> int: ...
    def store(self, offset: int, value: int, size: int = 4) -> None: ...
    def read(self, address: int, length: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...


class Guest:
    """A machine with one device of ours; the guest's byte order must make no difference to a driver."""

    def __init__(self, device: VirtioDevice, byte_order: Literal["little", "big"] = "little") -> None:
        self.ram = GuestRam()
        self.surroundings = ManualSurroundings()
        self.line = RecordedLine()
        self.byte_order = byte_order
        self.transport = VirtioMmio(device, self.ram, self.line, self.surroundings, byte_order)

    def load(self, offset: int, size: int = 4) -> int:
        value = self.transport.read(offset, size)
        return int.from_bytes(value.to_bytes(size, self.byte_order), "little")

    def store(self, offset: int, value: int, size: int = 4) -> None:
        self.transport.write(offset, size, int.from_bytes(value.to_bytes(size, "little"), self.byte_order))

    def read(self, address: int, length: int) -> bytes:
        return self.ram.read(PhysicalAddress(address), length)

    def write(self, address: int, data: bytes) -> None:
        self.ram.write(PhysicalAddress(address), data)
