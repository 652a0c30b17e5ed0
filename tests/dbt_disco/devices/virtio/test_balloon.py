"""The balloon with a driver like Linux's virtio_balloon: whatever way pages come, the monitor gets them back."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence

import pytest

from dbt_disco.devices.virtio.balloon import PAGE_SIZE, PAGES_MAX, BalloonDevice, Command, Statistic
from dbt_disco.devices.virtio.registers import Interrupt, Register
from tests.dbt_disco.devices.virtio.driver import WRITE, Driver
from tests.dbt_disco.devices.virtio.guest import RAM_LENGTH, RAM_START, Guest

INFLATE, DEFLATE, STATISTICS, FREE_PAGES, REPORTING = range(5)
PAGES = RAM_START + (1 << 20)
"""Where the pages of the tests begin; queues and requests are in front of them."""


class Machine:
    def __init__(self) -> None:
        self.device = BalloonDevice()
        self.guest = Guest(self.device)
        self.driver = Driver(self.guest)
        self.driver.start(queues=5)

    def give(self, queue: int, *ranges: tuple[int, int]) -> None:
        """Offer pages as writable buffers, as reports and hints are."""
        driver_queue = self.driver.queues[queue]
        driver_queue.offer([(address, length, WRITE) for address, length in ranges])
        driver_queue.kick()
        assert len(driver_queue.collect()) == 1

    @property
    def released(self) -> list[tuple[int, int]]:
        return self.guest.ram.released

    def config(self, index: int) -> int:
        return self.guest.load(Register.CONFIG + 4 * index)

    def told(self) -> bool:
        """Whether the driver was told of a change of configuration since the last time."""
        told = bool(self.guest.load(Register.INTERRUPT_STATUS) & Interrupt.CONFIGURATION_CHANGE)
        self.guest.store(Register.INTERRUPT_ACK, 3)
        return told


def numbers(addresses: Sequence[int]) -> bytes:
    return b"".join(struct.pack("<I", address // PAGE_SIZE) for address in addresses)


def test_the_driver_is_told_the_target_and_tells_what_there_is() -> None:
    machine = Machine()
    machine.device.set_target(256)
    assert machine.told() and machine.config(0) == 256
    machine.guest.store(Register.CONFIG + 4, 100)
    assert machine.device.actual == machine.config(1) == 100
    machine.guest.store(Register.CONFIG, 0)
    assert machine.config(0) == 256


def test_pages_put_into_the_balloon_are_released_in_runs() -> None:
    machine = Machine()
    pages = [PAGES + PAGE_SIZE * number for number in (5, 3, 4, 9, 3)]
    machine.guest.write(PAGES, b"\xff" * 16 * PAGE_SIZE)
    transfer = machine.driver.queues[INFLATE].request([numbers(pages)])
    assert transfer.written == 0
    assert machine.released == [(PAGES + 3 * PAGE_SIZE, 3 * PAGE_SIZE), (PAGES + 9 * PAGE_SIZE, PAGE_SIZE)]
    assert not any(machine.guest.read(PAGES + 3 * PAGE_SIZE, 3 * PAGE_SIZE))


def test_pages_taken_out_need_nothing() -> None:
    machine = Machine()
    machine.driver.queues[DEFLATE].request([numbers([PAGES])])
    assert not machine.released and machine.guest.transport.failure is None


@pytest.mark.parametrize("data", [numbers([0]), numbers([PAGES] * (PAGES_MAX + 1))])
def test_pages_that_are_none_or_too_many_need_a_reset(data: bytes) -> None:
    machine = Machine()
    machine.driver.queues[INFLATE].add([data], [])
    machine.driver.queues[INFLATE].notify()
    assert machine.guest.transport.failure is not None


def test_reported_pages_are_released() -> None:
    machine = Machine()
    assert machine.guest.transport.device.QUEUE_SIZES[REPORTING] >= 32
    ranges = [(PAGES + 2 * PAGE_SIZE * number, PAGE_SIZE) for number in range(32)]
    random.Random(1).shuffle(ranges)
    machine.give(REPORTING, *ranges)
    assert machine.released == sorted(ranges)


def test_only_whole_pages_are_released_and_each_once() -> None:
    machine = Machine()
    machine.give(
        REPORTING,
        (PAGES + 1, 2 * PAGE_SIZE),
        (PAGES + 10 * PAGE_SIZE, 4 * PAGE_SIZE),
        (PAGES + 11 * PAGE_SIZE, PAGE_SIZE),
        (PAGES + 12 * PAGE_SIZE, 3 * PAGE_SIZE + 7),
        (PAGES + 20 * PAGE_SIZE + 1, 100),
        (PAGES + 21 * PAGE_SIZE - 1, 2),
    )
    assert machine.released == [(PAGES + PAGE_SIZE, PAGE_SIZE), (PAGES + 10 * PAGE_SIZE, 5 * PAGE_SIZE)]


def test_whole_pages_agree_with_counting_them() -> None:
    dice = random.Random(2)
    for _ in range(50):
        machine = Machine()
        ranges = [
            (
                PAGES + dice.randrange(40 * PAGE_SIZE) // dice.choice((1, 4096)) * 1,
                dice.randrange(1, 5 * PAGE_SIZE),
            )
            for _ in range(dice.randrange(1, 12))
        ]
        machine.give(REPORTING, *ranges)
        whole = {
            page
            for address, length in ranges
            for page in range(-(-address // PAGE_SIZE), (address + length) // PAGE_SIZE)
        }
        assert whole == {
            address // PAGE_SIZE + number
            for address, length in machine.released
            for number in range(length // PAGE_SIZE)
        }
        assert len(whole) * PAGE_SIZE == sum(length for _, length in machine.released)


def test_a_round_of_hints() -> None:
    machine = Machine()
    assert machine.config(2) == Command.DONE
    machine.device.request_hints()
    command = machine.config(2)
    assert machine.told() and command > Command.DONE
    hints = machine.driver.queues[FREE_PAGES]
    machine.give(FREE_PAGES, (PAGES, 4 << 20))
    assert not machine.released, "pages without a command belong to no round"
    hints.request([struct.pack("<I", command)])
    machine.give(FREE_PAGES, (PAGES, 4 << 20))
    assert machine.released == [(PAGES, 4 << 20)]
    hints.request([struct.pack("<I", Command.STOP)])
    assert machine.told() and machine.config(2) == Command.DONE
    machine.give(FREE_PAGES, (PAGES, 4 << 20))
    assert len(machine.released) == 1
    machine.device.request_hints()
    assert machine.config(2) not in (command, Command.STOP, Command.DONE)


def test_hints_of_an_older_round_are_ignored() -> None:
    machine = Machine()
    machine.device.request_hints()
    command = machine.config(2)
    machine.device.request_hints()
    machine.driver.queues[FREE_PAGES].request([struct.pack("<I", command)])
    machine.give(FREE_PAGES, (PAGES, 4 << 20))
    assert not machine.released


def test_statistics() -> None:
    machine = Machine()
    queue = machine.driver.queues[STATISTICS]
    first = queue.add([struct.pack("<HQHQ", Statistic.FREE, 1000, 999, 5)], [])
    queue.kick()
    assert machine.device.statistics == {Statistic.FREE: 1000} and not queue.collect()
    machine.device.request_statistics()
    assert queue.collect() == [first]
    queue.add([struct.pack("<HQHQ", Statistic.TOTAL, 1 << 40, Statistic.FREE, 2000)], [])
    queue.kick()
    assert machine.device.statistics == {Statistic.FREE: 2000, Statistic.TOTAL: 1 << 40}
    assert not queue.collect()


def test_statistics_that_are_asked_for_early_come_with_the_driver() -> None:
    machine = Machine()
    machine.guest.store(Register.STATUS, 0)
    machine.device.request_statistics()
    machine.driver.start(queues=5)
    queue = machine.driver.queues[STATISTICS]
    queue.add([b""], [])
    queue.notify()
    assert len(queue.collect()) == 1


def test_a_new_driver_begins_with_an_empty_balloon() -> None:
    machine = Machine()
    machine.device.set_target(7)
    machine.guest.store(Register.CONFIG + 4, 5)
    machine.guest.store(Register.STATUS, 0)
    assert machine.device.actual == 0 and machine.config(0) == 7


def test_a_checkpoint_has_it_all() -> None:
    machine = Machine()
    machine.device.set_target(7)
    machine.device.request_hints()
    machine.driver.queues[STATISTICS].add([struct.pack("<HQ", Statistic.FREE, 1000)], [])
    machine.driver.queues[STATISTICS].kick()
    state = machine.guest.transport.state()
    other = Machine()
    other.guest.transport.restore(json.loads(json.dumps(state)))
    assert other.guest.transport.state() == state
    assert other.device.statistics == {Statistic.FREE: 1000}


def test_the_whole_memory_may_be_reported_again_and_again() -> None:
    machine = Machine()
    machine.give(REPORTING, *[(PAGES, RAM_START + RAM_LENGTH - PAGES)] * 4)
    assert machine.released == [(PAGES, RAM_START + RAM_LENGTH - PAGES)]
