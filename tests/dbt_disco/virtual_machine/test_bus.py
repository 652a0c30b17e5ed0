"""Physical accesses find their device; the platform's table is consistent and lets images run on QEMU's Malta too."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dbt_disco.devices.device import Device
from dbt_disco.devices.reset import GO_RESET, ResetRegister
from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.bus import Bus
from dbt_disco.virtual_machine.platform import DeviceRange, MemoryRange, MemorySizeError, RegisterOrder
from runtime.addresses import PhysicalAddress


class RecordingDevice(Device):
    """Remembers what was done to it; reads give what was last written."""

    def __init__(self) -> None:
        self.accesses: list[tuple[Any, ...]] = []
        self.value = 0

    def read(self, offset: int, size: int) -> int:
        self.accesses.append(("read", offset, size))
        return self.value

    def write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append(("write", offset, size, value))
        self.value = value

    def reset(self) -> None:
        self.accesses.append(("reset",))


def at(start: int, size: int, order: RegisterOrder = RegisterOrder.GUEST) -> DeviceRange:
    return DeviceRange("device", PhysicalAddress(start), size, None, order)


def test_accesses_reach_the_device_at_the_offset() -> None:
    bus, low, high = Bus("little"), RecordingDevice(), RecordingDevice()
    bus.attach(at(0x2000, 0x100), high)
    bus.attach(at(0x1000, 0x40), low)
    bus.write(PhysicalAddress(0x1000), 4, 0x1234_5678)
    assert bus.read(PhysicalAddress(0x103E), 2) == 0x1234_5678
    bus.write(PhysicalAddress(0x20FF), 1, 7)
    assert low.accesses == [("write", 0, 4, 0x1234_5678), ("read", 0x3E, 2)]
    assert high.accesses == [("write", 0xFF, 1, 7)]


def test_addresses_without_a_device_read_zero_and_ignore_writes() -> None:
    bus, device = Bus("little"), RecordingDevice()
    for attached in (False, True):
        if attached:
            bus.attach(at(0x1000, 0x40), device)
            device.value = 9
        for address in (0, 0xFFF, 0x1040, 0xFFFF_FFFC):
            bus.write(PhysicalAddress(address), 1, 5)
            assert bus.read(PhysicalAddress(address), 1) == 0
    assert device.accesses == []


def test_devices_cannot_overlap() -> None:
    bus = Bus("little")
    bus.attach(at(0x1000, 0x40), RecordingDevice())
    bus.attach(at(0x1040, 0x40), RecordingDevice())
    for start, size in ((0x1000, 4), (0x103F, 1), (0xFFF, 2), (0x800, 0x1000)):
        with pytest.raises(ValueError, match="overlaps"):
            bus.attach(at(start, size), RecordingDevice())


def test_little_endian_registers_are_swapped_for_a_big_endian_guest_only() -> None:
    for guest, order, seen in (
        ("little", RegisterOrder.LITTLE, 0x1122_3344),
        ("big", RegisterOrder.LITTLE, 0x4433_2211),
        ("big", RegisterOrder.GUEST, 0x1122_3344),
    ):
        bus, device = Bus("big" if guest == "big" else "little"), RecordingDevice()
        bus.attach(at(0, 8, order), device)
        bus.write(PhysicalAddress(4), 4, 0x1122_3344)
        assert device.accesses == [("write", 4, 4, seen)]
        assert bus.read(PhysicalAddress(4), 4) == 0x1122_3344
        device.value = 0x1234
        assert bus.read(PhysicalAddress(2), 2) == (0x3412 if seen == 0x4433_2211 else 0x1234)
        device.value = 0x56
        assert bus.read(PhysicalAddress(1), 1) == 0x56


def test_reset_reaches_every_device() -> None:
    bus, devices = Bus("big"), [RecordingDevice(), RecordingDevice()]
    bus.attach(at(0, 8, RegisterOrder.LITTLE), devices[0])
    bus.attach(at(8, 8), devices[1])
    bus.reset()
    assert [device.accesses for device in devices] == [[("reset",)]] * 2
    assert [device for _, device in bus.devices()] == devices


@pytest.mark.parametrize("size", [1, 2, 4])
def test_reset_register_takes_one_value(size: int) -> None:
    requests: list[None] = []
    bus = Bus("big")
    bus.attach(platform.RESET, ResetRegister(lambda: requests.append(None)))
    for value in (0, 1, 0x41, 0x43, 0xFF):
        bus.write(platform.RESET.start, size, value)
    assert (requests, bus.read(platform.RESET.start, size)) == ([], 0)
    bus.write(platform.RESET.start, size, GO_RESET)
    assert requests == [None]


def test_devices_of_the_platform_are_apart_and_aligned() -> None:
    assert all(low.end <= high.start for low, high in pairwise(platform.DEVICES))
    assert all(device.start % 4 == device.size % 4 == 0 for device in platform.DEVICES)


def test_devices_are_where_neither_memory_nor_boot_memory_is() -> None:
    memory = (*platform.memory_ranges(platform.MAXIMUM_MEMORY_SIZE), platform.BOOT_MEMORY)
    for device in platform.DEVICES:
        assert not any(device.start < each.end and each.start < device.end for each in memory)


def test_addresses_are_those_of_the_malta_board() -> None:
    assert (platform.UART.start, platform.UART.interrupt) == (0x1F00_0900, 4)
    assert platform.RESET.start == 0x1F00_0500
    assert platform.BOOT_MEMORY.start == 0x1FC0_0000


def test_virtio_slots_take_interrupts_in_turn() -> None:
    assert [slot.interrupt for slot in platform.VIRTIO_SLOTS] == [2, 3, 5, 6] * 4
    assert [slot.start for slot in platform.VIRTIO_SLOTS] == [0x1F01_0000 + 0x200 * n for n in range(16)]


@pytest.mark.parametrize(
    ("size", "ranges"),
    [
        (64 << 20, [(0, 64 << 20)]),
        (256 << 20, [(0, 256 << 20)]),
        (257 << 20, [(0, 256 << 20), (0x2000_0000, 1 << 20)]),
        (3840 << 20, [(0, 256 << 20), (0x2000_0000, 0xE000_0000)]),
    ],
)
def test_memory_has_a_hole_for_the_devices(size: int, ranges: list[tuple[int, int]]) -> None:
    expected = [MemoryRange(PhysicalAddress(start), length) for start, length in ranges]
    assert list(platform.memory_ranges(size)) == expected


@pytest.mark.parametrize("size", [0, -4096, 4095, (64 << 20) + 1, (3840 << 20) + 4096])
def test_impossible_memory_sizes_are_refused_in_one_line(size: int) -> None:
    with pytest.raises(MemorySizeError) as error:
        platform.memory_ranges(size)
    assert str(size) in str(error.value)
    assert "\n" not in str(error.value)
