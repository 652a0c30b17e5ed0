"""The platform: what a virtual machine has, where it is, and which CPU interrupt it raises (a subset of QEMU's Malta).

The only place that says so: the bus and the device tree are both made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from dbt_disco.command_error import CommandError
from runtime.addresses import MACHINE_PAGE_SIZE, PhysicalAddress

CPU_FREQUENCY: Final = 320_000_000
"""Cycles per second."""
COUNT_FREQUENCY: Final = CPU_FREQUENCY // 2
"""Steps of CP0 Count per second: every second cycle, as on all of MIPS's own cores (24K manual, Count register)."""

HARDWARE_INTERRUPTS: Final = range(2, 8)
"""The CPU interrupts IPn that wires reach; IP0 and IP1 are set by software only."""
TIMER_INTERRUPT: Final = 7
"""Where Count = Compare arrives (IntCtl.IPTI); the CPU raises it itself."""


@dataclass(frozen=True)
class MemoryRange:
    """Physical memory from `start`."""

    start: PhysicalAddress
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class RegisterOrder(Enum):
    """The order of the bytes in registers of several bytes."""

    GUEST = "guest"
    """As the CPU has it."""
    LITTLE = "little"
    """Little endian whatever the CPU's; a big-endian guest swaps."""


@dataclass(frozen=True)
class DeviceRange:
    """Where a device's registers are, and the number n of the CPU interrupt IPn it raises (None: it raises none)."""

    name: str
    start: PhysicalAddress
    size: int
    interrupt: int | None
    register_order: RegisterOrder

    @property
    def end(self) -> int:
        return self.start + self.size


def _device(
    name: str, start: int, size: int, interrupt: int | None, order: RegisterOrder = RegisterOrder.GUEST
) -> DeviceRange:
    return DeviceRange(name, PhysicalAddress(start), size, interrupt, order)


RESET: Final = _device("reset", 0x1F00_0500, 4, None)
UART: Final = _device("serial", 0x1F00_0900, 0x40, 4)
REAL_TIME_CLOCK: Final = _device("rtc", 0x1F00_1000, 0x24, 6, RegisterOrder.LITTLE)
_VIRTIO_INTERRUPTS: Final = (2, 3, 5, 6)
VIRTIO_SLOTS: Final = tuple(
    _device(
        "virtio",
        0x1F01_0000 + 0x200 * slot,
        0x200,
        _VIRTIO_INTERRUPTS[slot % len(_VIRTIO_INTERRUPTS)],
        RegisterOrder.LITTLE,
    )
    for slot in range(16)
)
"""virtio-mmio; a slot without a device reads 0, which is no virtio magic value."""
DEVICES: Final = (RESET, UART, REAL_TIME_CLOCK, *VIRTIO_SLOTS)
"""Everything with registers, by address."""

BOOT_MEMORY: Final = MemoryRange(PhysicalAddress(0x1FC0_0000), MACHINE_PAGE_SIZE)
"""Memory at the reset and bootstrap exception vectors (Status.BEV = 1), where boards have a ROM. Operating systems
are not told of it."""

_LOW_MEMORY_LIMIT: Final = 0x1000_0000
_HIGH_MEMORY_START: Final = 0x2000_0000
_ADDRESS_LIMIT: Final = 1 << 32
MAXIMUM_MEMORY_SIZE: Final = _LOW_MEMORY_LIMIT + _ADDRESS_LIMIT - _HIGH_MEMORY_START


class MemorySizeError(CommandError):
    """The platform cannot have that much memory, or that little."""


def memory_ranges(size: int) -> tuple[MemoryRange, ...]:
    """Where `size` bytes of memory are: from 0, and beyond 256 MiB behind the hole that the devices are in.

    Raises `MemorySizeError` unless `size` is a positive number of pages that 32-bit physical addresses reach.
    """
    if size <= 0 or size % MACHINE_PAGE_SIZE:
        raise MemorySizeError(
            f"memory size {size}: not a positive multiple of {MACHINE_PAGE_SIZE} bytes; give whole KiB or MiB"
        )
    if size > MAXIMUM_MEMORY_SIZE:
        raise MemorySizeError(
            f"memory size {size}: the platform has at most {MAXIMUM_MEMORY_SIZE >> 20} MiB; give less"
        )
    low = MemoryRange(PhysicalAddress(0), min(size, _LOW_MEMORY_LIMIT))
    if size == low.size:
        return (low,)
    return (low, MemoryRange(PhysicalAddress(_HIGH_MEMORY_START), size - low.size))
