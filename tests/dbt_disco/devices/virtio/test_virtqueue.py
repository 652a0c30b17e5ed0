"""Split virtqueues: what drivers may do works however they do it, and what they must not do needs a reset."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_disco.devices.virtio import virtqueue
from dbt_disco.devices.virtio.registers import Interrupt, Register, Status
from dbt_disco.devices.virtio.virtio_device import ReservedFeature
from dbt_disco.devices.virtio.virtqueue import BUFFER_WORK, REQUEST_WORK, WORK_PER_VISIT
from tests.dbt_disco.devices.virtio.driver import (
    ALL_FEATURES,
    DESCRIPTOR,
    INDIRECT,
    NEXT,
    WRITE,
    Driver,
    DriverQueue,
    Transfer,
)
from tests.dbt_disco.devices.virtio.echo_device import EchoDevice
from tests.dbt_disco.devices.virtio.guest import RAM_LENGTH, RAM_START, Guest, Machine

FLAGS_ONLY = ALL_FEATURES & ~ReservedFeature.EVENT_IDX
RAM_END = RAM_START + RAM_LENGTH


def started(wanted: int = ALL_FEATURES, size: int = 8) -> tuple[Guest, DriverQueue]:
    guest = Guest(EchoDevice())
    driver = Driver(guest)
    driver.start(wanted, size=size)
    return guest, driver.queues[0]


def interrupted(guest: Guest) -> bool:
    """Whether the driver was told of used buffers since the last time."""
    told = bool(guest.load(Register.INTERRUPT_STATUS) & Interrupt.USED_BUFFER)
    guest.store(Register.INTERRUPT_ACK, Interrupt.USED_BUFFER)
    return told


pieces = st.lists(st.binary(max_size=40), min_size=1, max_size=6)
rooms = st.lists(st.integers(0, 60), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([4, 16, 256]), st.booleans(), st.booleans())
def test_any_cut_of_any_requests_comes_through(
    data: st.DataObject, size: int, event_index: bool, big_endian: bool
) -> None:
    guest = Guest(EchoDevice(), "big" if big_endian else "little")
    driver = Driver(guest)
    driver.start(ALL_FEATURES if event_index else FLAGS_ONLY, size=size)
    queue = driver.queues[0]
    expected: list[tuple[Transfer, bytes]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        readable, writable = data.draw(pieces), data.draw(rooms)
        indirect = data.draw(st.booleans())
        if (1 if indirect else len(readable) + len(writable)) > len(queue.free):
            queue.kick()
            assert_answered(queue, expected)
        if indirect or len(readable) + len(writable) <= size:
            transfer = queue.add(readable, writable, indirect)
            expected.append((transfer, b"".join(readable)))
    queue.kick()
    assert_answered(queue, expected)
    assert not queue.outstanding


def assert_answered(queue: DriverQueue, expected: list[tuple[Transfer, bytes]]) -> None:
    assert queue.collect() == [transfer for transfer, _ in expected]
    for transfer, sent in expected:
        assert transfer.written == min(len(sent), len(transfer.data))
        assert transfer.data[: transfer.written] == sent[: transfer.written]
    expected.clear()


def test_indices_wrap_around() -> None:
    _, queue = started(size=4)
    for number in range(70_000):
        data = number.to_bytes(4, "little")
        assert queue.request([data], [4]).data == data


@pytest.mark.parametrize("wanted", [ALL_FEATURES, FLAGS_ONLY])
def test_a_polling_driver_is_not_interrupted(wanted: int) -> None:
    guest, queue = started(wanted)
    queue.enable_interrupts(False)
    queue.request([b"a"])
    assert not interrupted(guest)
    queue.enable_interrupts(True)
    queue.request([b"b"])
    assert interrupted(guest)


def test_an_interrupt_comes_when_the_used_index_passes_the_event_index() -> None:
    guest, queue = started()
    queue.set_used_event(2)
    told = []
    for _ in range(5):
        queue.request([b"x"])
        told.append(interrupted(guest))
    assert told == [False, False, True, False, False]
    queue.set_used_event(6)
    for _ in range(4):
        queue.add([b"x"], [])
    queue.kick()
    assert len(queue.collect()) == 4 and interrupted(guest)


def test_many_requests_are_one_notification_and_one_interrupt() -> None:
    guest, queue = started()
    for _ in range(8):
        queue.add([b"x"], [])
    queue.kick()
    assert len(queue.collect()) == 8
    assert queue.notifications == guest.line.rises == 1


def test_one_request_takes_few_accesses_to_memory() -> None:
    guest, queue = started(FLAGS_ONLY, size=256)
    queue.add([b"x" * 16, b"y" * 4096], [1], indirect=True)
    before = guest.ram.accesses
    queue.notify()
    # available ring, descriptors, indirect table, three buffers, used element, used index, available ring
    assert guest.ram.accesses - before <= 9


def test_a_chain_may_end_in_an_indirect_table() -> None:
    guest, queue = started()
    transfer = queue.add([b"abc"], [3], indirect=True)
    (indirect,) = transfer.descriptors
    before = queue.free.pop()
    guest.write(queue.descriptors + 16 * before, DESCRIPTOR.pack(RAM_END - 3, 3, NEXT, indirect))
    guest.write(RAM_END - 3, b"<->")
    guest.write(queue.available + 4, struct.pack("<H", before))
    queue.outstanding[before] = transfer
    queue.kick()
    assert queue.collect() == [transfer] and transfer.data == b"<->"


Breakage = Callable[[Machine, DriverQueue], None]


def descriptors(*entries: tuple[int, int, int, int]) -> Breakage:
    """The driver makes descriptor 0 of these available."""

    def breakage(guest: Machine, queue: DriverQueue) -> None:
        guest.write(queue.descriptors, b"".join(DESCRIPTOR.pack(*entry) for entry in entries))
        queue.make_available(0)

    return breakage


def indirect_table(*entries: tuple[int, int, int, int]) -> Breakage:
    """The driver makes an indirect table of these available."""

    def breakage(guest: Machine, queue: DriverQueue) -> None:
        guest.write(RAM_END - 4096, b"".join(DESCRIPTOR.pack(*entry) for entry in entries))
        descriptors((RAM_END - 4096, 16 * len(entries), INDIRECT, 0))(guest, queue)

    return breakage


def available_index(index: int) -> Breakage:
    return lambda guest, queue: guest.write(queue.available + 2, struct.pack("<H", index))


HERE = RAM_START + 0x10_0000
BREAKAGES: dict[str, tuple[Breakage, str]] = {
    "index ahead": (available_index(9), "9 chains made available in a queue of 8"),
    "index behind": (available_index(0xFFFF), "65535 chains made available in a queue of 8"),
    "no such head": (lambda _, queue: queue.make_available(8), "descriptor 8 made available in a queue of 8"),
    "no such next": (descriptors((HERE, 1, NEXT, 8)), "descriptor 0 goes on at 8, which does not exist"),
    "loop on itself": (descriptors((HERE, 1, NEXT, 0)), "the chain from descriptor 0 has a loop"),
    "loop of two": (descriptors((HERE, 1, NEXT, 1), (HERE, 1, NEXT, 0)), "has a loop"),
    "wrong order": (
        descriptors((HERE, 1, NEXT | WRITE, 1), (HERE, 1, 0, 0)),
        "descriptor 1 is to be read but comes after one to be written",
    ),
    "before memory": (descriptors((RAM_START - 1, 2, 0, 0)), "2 bytes at physical 0x3fffffff are not memory"),
    "past memory": (descriptors((RAM_END - 1, 2, 0, 0)), "are not memory"),
    "huge": (descriptors((HERE, 0xFFFF_FFFF, 0, 0)), "4294967295 bytes at"),
    "end of the address space": (descriptors((2**64 - 1, 2, 0, 0)), "are not memory"),
    "no memory to write": (descriptors((HERE, 4, NEXT, 1), (0, 4, WRITE, 0)), "are not memory"),
    "empty table": (descriptors((HERE, 0, INDIRECT, 0)), "indirect table of 0 bytes"),
    "odd table": (descriptors((HERE, 24, INDIRECT, 0)), "indirect table of 24 bytes"),
    "table goes on": (descriptors((HERE, 16, INDIRECT | NEXT, 1)), "descriptor 0 must not be indirect"),
    "table in table": (indirect_table((HERE, 16, INDIRECT, 0)), "descriptor 0 must not be indirect"),
    "loop in table": (indirect_table((HERE, 1, NEXT, 0)), "has a loop"),
    "no next in table": (indirect_table((HERE, 1, NEXT, 1)), "goes on at 1, which does not exist"),
    "table is no memory": (descriptors((RAM_END, 16, INDIRECT, 0)), "are not memory"),
    "long table": (indirect_table(*((HERE, 1, NEXT, i + 1) for i in range(255)), (HERE, 1, 0, 0)), ""),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_broken_rules_need_a_reset(name: str) -> None:
    guest, queue = started()
    breakage, reason = BREAKAGES[name]
    breakage(guest, queue)
    queue.notify()
    if not reason:
        assert guest.transport.failure is None
        return
    assert guest.transport.failure is not None and reason in guest.transport.failure
    assert guest.load(Register.STATUS) & Status.DEVICE_NEEDS_RESET


def test_an_indirect_table_that_was_not_negotiated_needs_a_reset() -> None:
    guest, queue = started(ReservedFeature.VERSION_1)
    queue.add([b"x"], [], indirect=True)
    queue.notify()
    assert guest.transport.failure == "queue 0: descriptor 7 must not be indirect"


@pytest.mark.parametrize(
    "part", [Register.QUEUE_DESC_LOW, Register.QUEUE_DRIVER_LOW, Register.QUEUE_DEVICE_LOW]
)
def test_queues_outside_memory_need_a_reset(part: Register) -> None:
    guest = Guest(EchoDevice())
    driver = Driver(guest)
    driver.negotiate()
    queue = driver.make_queue(0)
    guest.store(Register.QUEUE_READY, 0)
    guest.store(part + 4, 1)
    guest.store(Register.QUEUE_READY, 1)
    driver.set_status(guest.load(Register.STATUS) | Status.DRIVER_OK)
    queue.add([b"x"], [])
    queue.notify()
    assert guest.transport.failure is not None and "are not memory" in guest.transport.failure


def test_a_device_that_overwrites_its_own_queue_stops() -> None:
    guest, queue = started()
    transfer = queue.add([b"\xff" * 20], [20])
    over_the_queue = DESCRIPTOR.pack(queue.available, 20, WRITE, 0)
    guest.write(queue.descriptors + 16 * transfer.descriptors[1], over_the_queue)
    queue.notify()
    assert guest.transport.failure == "queue 0: 65534 chains made available in a queue of 8"


def test_much_work_is_done_in_turns_with_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    guest, queue = started()
    monkeypatch.setattr(virtqueue, "WORK_PER_VISIT", 3 * REQUEST_WORK)
    for _ in range(8):
        queue.add([b"x"], [])
    queue.notify()
    done = [len(queue.collect())]
    while guest.surroundings.timers():
        guest.surroundings.advance(10_000)
        done.append(len(queue.collect()))
    assert done == [3, 3, 2]


@pytest.mark.parametrize(("buffers", "length"), [(1024, 1), (1000, 60_000), (1, 8 << 20)])
def test_greedy_requests_are_bounded_by_the_visit(buffers: int, length: int) -> None:
    """All chains of a queue are the same one, so that the driver has hardly any work with it."""
    guest, queue = started(size=256)
    queue.offer([(HERE, length, 0)] * buffers, indirect=True)
    for _ in range(255):
        queue.make_available(255)
    accesses, moved = guest.ram.accesses, guest.ram.moved
    queue.notify()
    assert guest.transport.failure is None and guest.surroundings.timers()
    greatest_request = buffers * (BUFFER_WORK + length)
    assert guest.ram.accesses - accesses < (WORK_PER_VISIT + greatest_request) // BUFFER_WORK
    assert guest.ram.moved - moved < 2 * (WORK_PER_VISIT + greatest_request)


def test_a_reset_ends_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    guest, queue = started()
    monkeypatch.setattr(virtqueue, "WORK_PER_VISIT", REQUEST_WORK)
    for _ in range(8):
        queue.add([b"x"], [])
    queue.notify()
    guest.store(Register.STATUS, 0)
    assert not guest.surroundings.timers()
    assert len(queue.collect()) == 1


def test_a_checkpoint_continues_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    guest, queue = started()
    monkeypatch.setattr(virtqueue, "WORK_PER_VISIT", REQUEST_WORK)
    for _ in range(8):
        queue.add([b"x"], [])
    queue.notify()
    other = Guest(EchoDevice())
    other.ram.data[:] = guest.ram.data
    other.transport.restore(guest.transport.state())
    queue.machine = other
    other.surroundings.advance(1_000_000)
    assert len(queue.collect()) == 8
