"""Physical accesses that are not to memory: which device has the register, in which order are its bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Literal

from dbt_disco.devices.device import Device
from dbt_disco.virtual_machine.platform import DeviceRange, RegisterOrder
from runtime.addresses import PhysicalAddress

ByteOrder = Literal["little", "big"]


class Bus:
    """The devices of a virtual machine by physical address.

    Where no device is, loads give 0 and stores vanish, without a bus error (as on QEMU's Malta).
    """

    def __init__(self, guest_byte_order: ByteOrder) -> None:
        self._guest_byte_order = guest_byte_order
        self._attached: list[tuple[DeviceRange, Device]] = []
        # Parallel, by address.
        self._starts: list[int] = []
        self._targets: list[tuple[int, int, Device]] = []

    def attach(self, where: DeviceRange, device: Device) -> None:
        """Connect a device's registers; ValueError if another device is there."""
        for other, _ in self._attached:
            if where.start < other.end and other.start < where.end:
                raise ValueError(f"{where} overlaps {other}")
        self._attached.append((where, device))
        if where.register_order is RegisterOrder.LITTLE and self._guest_byte_order == "big":
            device = _SwappedRegisters(device)
        index = bisect_right(self._starts, where.start)
        self._starts.insert(index, where.start)
        self._targets.insert(index, (where.start, where.end, device))

    def read(self, address: PhysicalAddress, size: int) -> int:
        """What a load of 1, 2 or 4 bytes gives, zero-extended; the address is a multiple of the size."""
        index = bisect_right(self._starts, address)
        if index:
            start, end, device = self._targets[index - 1]
            if address < end:
                return device.read(address - start, size)
        return 0

    def write(self, address: PhysicalAddress, size: int, value: int) -> None:
        """Store the low 1, 2 or 4 bytes of a register, given as an unsigned value."""
        index = bisect_right(self._starts, address)
        if index:
            start, end, device = self._targets[index - 1]
            if address < end:
                device.write(address - start, size, value)

    def reset(self) -> None:
        """Reset every device."""
        for _, device in self._attached:
            device.reset()

    def devices(self) -> Iterator[tuple[DeviceRange, Device]]:
        """What is attached, in that order."""
        return iter(self._attached)


class _SwappedRegisters(Device):
    """A little-endian device as a big-endian CPU sees it: registers of several bytes are the wrong way round."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def read(self, offset: int, size: int) -> int:
        return _swapped(self._device.read(offset, size), size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._device.write(offset, size, _swapped(value, size))

    def reset(self) -> None:
        self._device.reset()

    def state(self) -> dict[str, Any]:
        return self._device.state()

    def restore(self, state: dict[str, Any]) -> None:
        self._device.restore(state)


def _swapped(value: int, size: int) -> int:
    return int.from_bytes(value.to_bytes(size, "little"), "big")
