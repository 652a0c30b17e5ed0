"""The registers of virtio over MMIO as the specification and Linux's virtio_mmio.c have them."""

from __future__ import annotations

import json
from typing import Literal

import pytest

from dbt_disco.devices.virtio.console import ConsoleDevice
from dbt_disco.devices.virtio.entropy import EntropyDevice
from dbt_disco.devices.virtio.registers import Register, Status
from dbt_disco.devices.virtio.virtio_device import ReservedFeature
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.surroundings import ManualSurroundings
from tests.dbt_disco.devices.virtio.driver import NEGOTIATED, Driver
from tests.dbt_disco.devices.virtio.guest import RAM_START, Guest

USED_BUFFER, CONFIGURATION_CHANGE = 1, 2


def entropy_guest(byte_order: Literal["little", "big"] = "little") -> Guest:
    return Guest(EntropyDevice(ManualSurroundings()), byte_order)


@pytest.fixture
def guest() -> Guest:
    return entropy_guest()


def test_a_device_is_recognised(guest: Guest) -> None:
    assert guest.load(Register.MAGIC_VALUE).to_bytes(4, "little") == b"virt"
    assert guest.load(Register.VERSION) == 2
    assert guest.load(Register.DEVICE_ID) == 4
    assert guest.load(Register.STATUS) == 0


def test_a_big_endian_guest_loads_little_endian_registers() -> None:
    guest = entropy_guest("big")
    assert guest.transport.read(Register.MAGIC_VALUE, 4).to_bytes(4, "big") == b"virt"
    guest.transport.write(Register.STATUS, 4, 0x0100_0000)
    assert guest.transport.read(Register.STATUS, 4) == 0x0100_0000
    assert guest.load(Register.STATUS) == Status.ACKNOWLEDGE


def test_configuration_is_read_in_the_guests_order() -> None:
    guest = Guest(ConsoleDevice(CharacterLine(), columns=0x1234, rows=0x56), "big")
    assert guest.transport.read(Register.CONFIG, 2) == 0x3412
    assert guest.transport.read(Register.CONFIG, 1) == 0x34
    assert guest.transport.read(Register.CONFIG, 4) == 0x3412_5600
    assert guest.transport.read(Register.CONFIG + 0x80, 4) == 0


@pytest.mark.parametrize("offset", [0x01, 0x18, 0x20, 0x30, 0x50, 0x64, 0xA8, 0xFB])
def test_what_is_no_readable_register_reads_0(guest: Guest, offset: int) -> None:
    assert guest.load(offset) == 0


def test_registers_are_32_bits_wide(guest: Guest) -> None:
    assert guest.load(Register.MAGIC_VALUE, 2) == 0
    guest.store(Register.STATUS, 1, 1)
    assert guest.load(Register.STATUS) == 0


def test_there_is_no_shared_memory(guest: Guest) -> None:
    guest.store(0x0AC, 0)
    registers = (Register.SHM_LEN_LOW, Register.SHM_LEN_HIGH, Register.SHM_BASE_LOW, Register.SHM_BASE_HIGH)
    assert {guest.load(register) for register in registers} == {0xFFFF_FFFF}


def test_features_are_offered_in_two_halves(guest: Guest) -> None:
    driver = Driver(guest)
    assert driver.offered() == ReservedFeature.VERSION_1 | ReservedFeature.INDIRECT_DESC
    guest.store(Register.DEVICE_FEATURES_SEL, 2)
    assert guest.load(Register.DEVICE_FEATURES) == 0


def test_a_subset_with_version_1_is_accepted(guest: Guest) -> None:
    driver = Driver(guest)
    assert driver.negotiate()
    assert driver.negotiate(ReservedFeature.VERSION_1)
    assert guest.load(Register.STATUS) == NEGOTIATED


@pytest.mark.parametrize("features", [0, 1 << 28, 1 << 32 | 1, 1 << 32 | 1 << 63])
def test_old_drivers_and_features_not_offered_are_refused(guest: Guest, features: int) -> None:
    guest.store(Register.STATUS, Status.ACKNOWLEDGE | Status.DRIVER)
    Driver(guest).accept(features)
    guest.store(Register.STATUS, NEGOTIATED)
    assert guest.load(Register.STATUS) == Status.ACKNOWLEDGE | Status.DRIVER


def test_features_do_not_change_after_negotiation(guest: Guest) -> None:
    driver = Driver(guest)
    driver.negotiate(ReservedFeature.VERSION_1)
    driver.accept(1 << 63)
    guest.store(Register.STATUS, NEGOTIATED)
    assert guest.load(Register.STATUS) == NEGOTIATED


def test_queues_that_do_not_exist_have_no_size_and_take_nothing(guest: Guest) -> None:
    assert guest.load(Register.QUEUE_NUM_MAX) == 8
    for queue in (1, 0xFFFF_FFFF):
        guest.store(Register.QUEUE_SEL, queue)
        assert guest.load(Register.QUEUE_NUM_MAX) == 0
        guest.store(Register.QUEUE_NUM, 8)
        guest.store(Register.QUEUE_DESC_LOW, RAM_START)
        guest.store(Register.QUEUE_READY, 1)
        guest.store(Register.QUEUE_NOTIFY, queue)
        assert guest.load(Register.QUEUE_READY) == 0
    assert guest.load(Register.STATUS) == 0


def test_a_queue_is_made_ready_and_stopped(guest: Guest) -> None:
    driver = Driver(guest)
    driver.start()
    assert guest.load(Register.QUEUE_READY) == 1
    guest.store(Register.QUEUE_READY, 0)
    assert guest.load(Register.QUEUE_READY) == 0
    driver.queues[0].add([], [8])
    driver.queues[0].notify()
    assert not driver.queues[0].collect()


def test_a_queue_in_use_ignores_its_registers(guest: Guest) -> None:
    driver = Driver(guest)
    driver.start()
    guest.store(Register.QUEUE_NUM, 4)
    guest.store(Register.QUEUE_DESC_LOW, 0)
    guest.store(Register.QUEUE_READY, 1)
    assert driver.queues[0].request([], [8]).written == 8


@pytest.mark.parametrize("size", [0, 3, 16, 1 << 31])
def test_impossible_sizes_need_a_reset(guest: Guest, size: int) -> None:
    driver = Driver(guest)
    driver.negotiate()
    guest.store(Register.QUEUE_NUM, size)
    guest.store(Register.QUEUE_READY, 1)
    assert guest.load(Register.QUEUE_READY) == 0
    assert guest.load(Register.STATUS) == NEGOTIATED | Status.DEVICE_NEEDS_RESET
    assert guest.transport.failure == f"queue 0: size {size} is not a power of two up to 8"


@pytest.mark.parametrize(
    "register", [Register.QUEUE_DESC_LOW, Register.QUEUE_DRIVER_LOW, Register.QUEUE_DEVICE_LOW]
)
def test_unaligned_queues_need_a_reset(guest: Guest, register: Register) -> None:
    driver = Driver(guest)
    driver.negotiate()
    guest.store(Register.QUEUE_NUM, 8)
    guest.store(register, RAM_START + 1)
    guest.store(Register.QUEUE_READY, 1)
    assert guest.transport.failure is not None and "is not a multiple of" in guest.transport.failure


def test_a_queue_before_negotiation_needs_a_reset(guest: Guest) -> None:
    guest.store(Register.QUEUE_NUM, 8)
    guest.store(Register.QUEUE_READY, 1)
    assert guest.transport.failure == "queue 0: made ready before the features were negotiated"


def test_nothing_happens_before_the_driver_is_ready_and_then_all_that_waits(guest: Guest) -> None:
    driver = Driver(guest)
    driver.negotiate()
    queue = driver.make_queue(0)
    queue.add([], [8])
    queue.notify()
    assert not queue.collect() and not guest.line.level
    driver.set_status(NEGOTIATED | Status.DRIVER_OK)
    assert [transfer.written for transfer in queue.collect()] == [8]


def test_interrupts_are_raised_until_acknowledged(guest: Guest) -> None:
    driver = Driver(guest)
    driver.start()
    driver.queues[0].request([], [8])
    assert guest.line.level and guest.load(Register.INTERRUPT_STATUS) == USED_BUFFER
    guest.store(Register.INTERRUPT_ACK, CONFIGURATION_CHANGE)
    assert guest.line.level
    guest.store(Register.INTERRUPT_ACK, USED_BUFFER)
    assert not guest.line.level and guest.load(Register.INTERRUPT_STATUS) == 0


def test_a_changed_configuration_has_another_generation_and_interrupts_a_ready_driver() -> None:
    device = ConsoleDevice(CharacterLine())
    guest = Guest(device)
    before = guest.load(Register.CONFIG_GENERATION)
    device.resize(100, 30)
    assert guest.load(Register.CONFIG_GENERATION) != before
    assert not guest.line.level
    Driver(guest).start(queues=2)
    device.resize(80, 24)
    assert guest.line.level and guest.load(Register.INTERRUPT_STATUS) == CONFIGURATION_CHANGE


def broken(guest: Guest) -> Driver:
    driver = Driver(guest)
    driver.start()
    driver.queues[0].make_available(99)
    driver.queues[0].notify()
    return driver


def test_a_broken_driver_hears_that_a_reset_is_needed(guest: Guest) -> None:
    driver = broken(guest)
    assert guest.load(Register.STATUS) == NEGOTIATED | Status.DRIVER_OK | Status.DEVICE_NEEDS_RESET
    assert guest.load(Register.INTERRUPT_STATUS) == CONFIGURATION_CHANGE
    assert guest.transport.failure == "queue 0: descriptor 99 made available in a queue of 8"
    driver.set_status(NEGOTIATED | Status.DRIVER_OK)
    assert guest.load(Register.STATUS) & Status.DEVICE_NEEDS_RESET
    driver.queues[0].add([], [8])
    driver.queues[0].notify()
    assert not driver.queues[0].collect()


def test_reset_makes_all_new(guest: Guest) -> None:
    broken(guest)
    guest.store(Register.STATUS, 0)
    assert guest.load(Register.STATUS) == guest.load(Register.INTERRUPT_STATUS) == 0
    assert guest.load(Register.QUEUE_READY) == 0
    assert not guest.line.level and guest.transport.failure is None
    driver = Driver(guest)
    driver.start()
    assert driver.queues[0].request([], [8]).written == 8


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_checkpoint_goes_on_in_another_machine(interrupted: bool) -> None:
    guest = entropy_guest()
    driver = Driver(guest)
    driver.start(size=4)
    for _ in range(70_000 if interrupted else 3):
        driver.queues[0].request([], [8])
    if not interrupted:
        guest.store(Register.INTERRUPT_ACK, USED_BUFFER)
    other = entropy_guest()
    other.ram.data[:] = guest.ram.data
    other.transport.restore(json.loads(json.dumps(guest.transport.state())))
    assert other.line.level == interrupted
    assert other.transport.state() == guest.transport.state()
    driver.queues[0].machine = other
    assert driver.queues[0].request([], [8]).written == 8
