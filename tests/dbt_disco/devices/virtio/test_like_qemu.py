"""The same drivers on our devices and on QEMU's, with equal results."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from dbt_disco.devices.virtio.block import BlockDevice, Feature, Request, Result
from dbt_disco.devices.virtio.console import ConsoleDevice
from dbt_disco.devices.virtio.registers import Interrupt, Register, Status
from dbt_disco.devices.virtio.virtio_device import ReservedFeature
from dbt_disco.disks.block_backend import SECTOR_SIZE
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.virtio.driver import Driver, DriverQueue, Transfer
from tests.dbt_disco.devices.virtio.guest import Guest, Machine
from tests.dbt_disco.devices.virtio.qemu_guest import PROGRAM, QemuGuest
from tests.dbt_disco.devices.virtio.ram_disk import RamDisk
from tests.dbt_disco.devices.virtio.test_block import header
from tests.dbt_disco.devices.virtio.test_virtqueue import BREAKAGES

SECTORS: Final = 64
SERIAL: Final = b"dbt-disco-1"
FEATURES: Final = int(
    Feature.SEG_MAX
    | Feature.BLK_SIZE
    | Feature.FLUSH
    | Feature.TOPOLOGY
    | Feature.CONFIG_WCE
    | Feature.DISCARD
    | Feature.WRITE_ZEROES
    | ReservedFeature.INDIRECT_DESC
    | ReservedFeature.VERSION_1
)
"""What both block devices offer."""


@pytest.fixture(autouse=True)
def needs_qemu(program: Callable[[str], str]) -> None:
    program(PROGRAM)


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[QemuGuest]:
    image = tmp_path / "disk"
    image.write_bytes(bytes(SECTORS * SECTOR_SIZE))
    drive = f"if=none,id=d,file={image},format=raw,discard=unmap"
    with QemuGuest(f"virtio-blk-device,drive=d,serial={SERIAL.decode()}", "-drive", drive) as guest:
        yield guest


@pytest.fixture
def ours() -> Guest:
    return Guest(BlockDevice(RamDisk(SECTORS, serial=SERIAL)))


def wait_for(queue: DriverQueue, count: int) -> list[Transfer]:
    done = queue.collect()
    deadline = time.monotonic() + 10
    while len(done) < count:
        assert time.monotonic() < deadline, "the device does not answer"
        time.sleep(0.0005)
        done += queue.collect()
    return sorted(done, key=lambda transfer: transfer.descriptors[0])


def log_of_set_up(machine: Machine, seed: int) -> list[tuple[str, int]]:
    """Bring the device up by a random but rightful way, and note what every register says meanwhile."""
    dice = random.Random(seed)
    driver = Driver(machine)
    log: list[tuple[str, int]] = []

    def note(register: Register) -> None:
        log.append((register.name, machine.load(register)))

    def note_all() -> None:
        for register in (
            Register.MAGIC_VALUE,
            Register.VERSION,
            Register.DEVICE_ID,
            Register.STATUS,
            Register.INTERRUPT_STATUS,
            Register.QUEUE_READY,
            Register.SHM_LEN_LOW,
            Register.SHM_LEN_HIGH,
            Register.DRIVER_FEATURES,
            Register.QUEUE_SEL,
            Register.QUEUE_DESC_LOW,
            Register.QUEUE_NOTIFY,
        ):
            note(register)

    note_all()
    for _ in range(3):
        assert driver.negotiate(FEATURES & dice.getrandbits(64) | ReservedFeature.VERSION_1)
        note_all()
        for _ in range(dice.randrange(2)):
            machine.store(Register.QUEUE_SEL, 7)
            note(Register.QUEUE_NUM_MAX)
            note_all()
        queue = driver.make_queue(0, dice.choice((4, 64, 256)))
        note_all()
        driver.set_status(machine.load(Register.STATUS) | Status.DRIVER_OK)
        note_all()
        for _ in range(dice.randrange(4)):
            queue.add([header(Request.FLUSH)], [1])
            queue.kick()
            wait_for(queue, 1)
            note_all()
            machine.store(Register.INTERRUPT_ACK, dice.choice((0, 1, 2, 3)))
            note_all()
        if dice.random() < 0.5:
            machine.store(Register.QUEUE_READY, 0)
            note_all()
    machine.store(Register.STATUS, 0)
    note_all()
    return log


def test_registers_during_set_up(qemu: QemuGuest, ours: Guest, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        assert log_of_set_up(ours, seed) == log_of_set_up(qemu, seed)


def test_negotiation_without_version_1_or_of_nothing(qemu: QemuGuest, ours: Guest) -> None:
    """QEMU masks features that it did not offer; refusing them is the specification's other way (2.2.2)."""
    for machine in (qemu, ours):
        driver = Driver(machine)
        assert driver.negotiate(FEATURES)
        assert machine.load(Register.STATUS) == Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK


def random_request(dice: random.Random) -> tuple[list[bytes], list[int]]:
    """Readable and writable buffers of a request, right or wrong."""
    kind = dice.choice((*Request, Request.IN, Request.OUT, Request.IN, Request.OUT, 77))
    sector = dice.choice((dice.randrange(SECTORS), dice.randrange(SECTORS), SECTORS - 1, SECTORS, 2**63))
    lengths = [SECTOR_SIZE * dice.randrange(1, 9) for _ in range(dice.randrange(1, 5))]
    if dice.random() < 0.1:
        lengths[0] += 100
    if kind == Request.IN:
        return [header(kind, sector)], [*lengths, 1]
    if kind == Request.OUT:
        return [header(kind, sector), *(dice.randbytes(length) for length in lengths)], [1]
    if kind == Request.GET_ID:
        return [header(kind)], [20, 1]
    if kind in (Request.DISCARD, Request.WRITE_ZEROES):
        flags = dice.choice((0, 0, 1, 2)) if kind == Request.WRITE_ZEROES else dice.choice((0, 0, 0, 1, 4))
        if flags:  # of two errors, either may be reported
            sector %= SECTORS - 16
        return [header(kind), struct.pack("<QII", sector % 2**40, dice.randrange(1, 17), flags)], [1]
    return [header(kind)], [1]


def outcome(transfer: Transfer) -> tuple[int | None, bytes]:
    """What must be equal: bytes written only where all went well, since less may be said (2.7.8.2)."""
    if transfer.data[-1] == Result.OK:
        return transfer.written, transfer.data
    return None, transfer.data[-1:]


class BlockDeviceWithEventIndices(BlockDevice):
    """Ours does not offer them, since they would gain it nothing; here they can be compared."""

    @property
    def features(self) -> int:
        return super().features | ReservedFeature.EVENT_IDX


@pytest.mark.parametrize("event_index", [False, True])
def test_random_requests(qemu: QemuGuest, first_seed: int, event_index: bool) -> None:
    ours = Guest(BlockDeviceWithEventIndices(RamDisk(SECTORS, serial=SERIAL)))
    drivers = [Driver(qemu), Driver(ours)]
    for driver in drivers:
        driver.start(FEATURES | (ReservedFeature.EVENT_IDX if event_index else 0), size=64)
        driver.queues[0].add([header(Request.FLUSH)], [1])
        driver.queues[0].kick()
        wait_for(driver.queues[0], 1)
        driver.machine.store(Register.INTERRUPT_ACK, 1)  # QEMU always interrupts after the first request
    dice = random.Random(first_seed)
    for _ in range(300):
        requests = [random_request(dice) for _ in range(dice.randrange(1, 4))]
        wants_interrupts, indirect, ahead = dice.random() < 0.7, dice.random() < 0.5, dice.randrange(-1, 4)
        results, told = [], []
        for driver in drivers:
            queue = driver.queues[0]
            queue.enable_interrupts(wants_interrupts)
            queue.set_used_event(queue.last_used + ahead)
            done = []
            for readable, writable in requests:  # one by one: QEMU answers in any order
                queue.add(readable, writable, indirect)
                queue.kick()
                done += wait_for(queue, 1)
            results.append([outcome(transfer) for transfer in done])
            told.append(driver.machine.load(Register.INTERRUPT_STATUS))
            driver.machine.store(Register.INTERRUPT_ACK, Interrupt.USED_BUFFER)
        assert results[0] == results[1], requests
        expected = 0 <= ahead < len(requests) if event_index else wants_interrupts
        assert told == [expected, expected]


@pytest.mark.parametrize("name", BREAKAGES)
def test_broken_rules(name: str, qemu: QemuGuest, ours: Guest) -> None:
    breakage, _ = BREAKAGES[name]
    statuses = []
    for machine in (qemu, ours):
        driver = Driver(machine)
        driver.start(FEATURES, size=8)
        breakage(machine, driver.queues[0])
        driver.queues[0].notify()
        told = machine.load(Register.INTERRUPT_STATUS) & Interrupt.CONFIGURATION_CHANGE
        statuses.append((machine.load(Register.STATUS), told))
    assert statuses[0] == statuses[1]


def test_console_output(tmp_path: Path, first_seed: int) -> None:
    """Input cannot be compared: QEMU takes none while its CPU stands still."""
    output, line = tmp_path / "output", CharacterLine()
    console = ("-chardev", f"file,id=c,path={output}", "-device", "virtconsole,chardev=c")
    dice = random.Random(first_seed)
    with QemuGuest("virtio-serial-device,max_ports=1", *console) as qemu:
        drivers = [Driver(qemu), Driver(Guest(ConsoleDevice(line)))]
        for driver in drivers:
            driver.start(int(ReservedFeature.VERSION_1 | ReservedFeature.INDIRECT_DESC), queues=2, size=32)
        for _ in range(50):
            pieces = [dice.randbytes(dice.randrange(1, 100)) for _ in range(dice.randrange(1, 5))]
            indirect = dice.random() < 0.5
            for driver in drivers:
                driver.queues[1].add(pieces, [], indirect)
                driver.queues[1].kick()
                assert [transfer.written for transfer in wait_for(driver.queues[1], 1)] == [0]
    assert output.read_bytes() == line.sent
