"""The network device between a driver like Linux's virtio_net and a network that only the test sees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from dbt_disco.devices.virtio import net
from dbt_disco.devices.virtio.net import FRAME_MAX, Feature, NetworkDevice
from dbt_disco.devices.virtio.registers import Interrupt, Register
from dbt_disco.devices.virtio.virtio_device import ReservedFeature
from dbt_disco.devices.virtio.virtqueue import REQUEST_WORK
from tests.dbt_disco.devices.virtio.driver import ALL_FEATURES, Driver, DriverQueue
from tests.dbt_disco.devices.virtio.guest import Guest

MAC = bytes.fromhex("525400123456")
FLAGS_ONLY = ALL_FEATURES & ~int(ReservedFeature.EVENT_IDX)
HEADER = bytes(12)


class Cable:
    """A network that keeps what was sent; `deliver` sends to the device."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.waiting = deque[bytes]()
        self._arrived: Callable[[], None] | None = None

    def connect(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def receive(self) -> bytes | None:
        return self.waiting.popleft() if self.waiting else None

    def deliver(self, *frames: bytes) -> None:
        assert self._arrived is not None
        self.waiting += frames
        self._arrived()


class Machine:
    def __init__(self, wanted: int = ALL_FEATURES, size: int | None = None) -> None:
        self.cable = Cable()
        self.device = NetworkDevice(self.cable, MAC)
        self.guest = Guest(self.device)
        self.driver = Driver(self.guest)
        self.driver.start(wanted, queues=2, size=size)

    @property
    def receiving(self) -> DriverQueue:
        return self.driver.queues[0]

    @property
    def sending(self) -> DriverQueue:
        return self.driver.queues[1]

    def offer(self, count: int, length: int = 12 + FRAME_MAX) -> None:
        for _ in range(count):
            self.receiving.add([], [length])
        self.receiving.kick()


def frame(number: int, length: int = 60) -> bytes:
    return number.to_bytes(4, "big").ljust(length, b"\x55")


def test_the_configuration_has_address_and_link() -> None:
    machine = Machine()
    load = machine.guest.load
    assert bytes(load(Register.CONFIG + i, 1) for i in range(6)) == MAC
    assert load(Register.CONFIG + 6, 2) == 1
    machine.device.set_link(False)
    assert load(Register.CONFIG + 6, 2) == 0
    assert load(Register.INTERRUPT_STATUS) == Interrupt.CONFIGURATION_CHANGE
    assert machine.driver.features & int(Feature.MAC | Feature.STATUS) == Feature.MAC | Feature.STATUS


def test_an_address_has_six_bytes() -> None:
    with pytest.raises(ValueError, match="6 bytes, not 5"):
        NetworkDevice(Cable(), MAC[:5])


@pytest.mark.parametrize("wanted", [ALL_FEATURES, FLAGS_ONLY])
def test_frames_are_sent(wanted: int) -> None:
    machine = Machine(wanted)
    machine.sending.request([HEADER, frame(1)])
    machine.sending.request([HEADER + frame(2)])
    machine.sending.request([HEADER + frame(3)[:10], frame(3)[10:30], frame(3)[30:]], indirect=True)
    assert machine.cable.sent == [frame(1), frame(2), frame(3)]


def test_frames_that_no_network_takes_are_dropped() -> None:
    machine = Machine()
    machine.sending.request([HEADER, bytes(FRAME_MAX + 1)])
    machine.sending.request([HEADER])
    machine.device.set_link(False)
    machine.sending.request([HEADER, frame(1)])
    assert not machine.cable.sent
    machine.device.set_link(True)
    machine.sending.request([HEADER, bytes(FRAME_MAX)])
    assert machine.cable.sent == [bytes(FRAME_MAX)]


def test_a_frame_without_header_needs_a_reset() -> None:
    machine = Machine()
    machine.sending.add([bytes(11)], [])
    machine.sending.notify()
    assert machine.guest.transport.failure == "queue 1: a frame to be sent has no header"


@pytest.mark.parametrize("wanted", [ALL_FEATURES, FLAGS_ONLY])
def test_frames_are_received_in_order(wanted: int) -> None:
    machine = Machine(wanted)
    machine.offer(8)
    machine.cable.deliver(frame(1), frame(2, 1514))
    machine.cable.deliver(frame(3))
    received = machine.receiving.collect()
    assert [transfer.written for transfer in received] == [72, 1526, 72]
    assert [transfer.data[: transfer.written] for transfer in received if transfer.written] == [
        bytes(10) + b"\1\0" + data for data in (frame(1), frame(2, 1514), frame(3))
    ]


def test_frames_wait_until_the_driver_has_room() -> None:
    machine = Machine()
    machine.offer(1)
    machine.cable.deliver(*(frame(number) for number in range(5)))
    assert len(machine.receiving.collect()) == 1 and len(machine.cable.waiting) == 4
    machine.offer(3)
    assert len(machine.receiving.collect()) == 3 and len(machine.cable.waiting) == 1
    machine.offer(3)
    assert len(machine.receiving.collect()) == 1 and not machine.cable.waiting


def test_a_driver_with_event_indices_only_announces_buffers_that_are_missed() -> None:
    machine = Machine()
    machine.offer(8)
    machine.offer(8)
    notifications = machine.receiving.notifications
    for number in range(100):
        machine.cable.deliver(frame(number))
        assert len(machine.receiving.collect()) == 1
        machine.offer(1)
    assert machine.receiving.notifications == notifications
    machine.cable.deliver(*(frame(number) for number in range(20)))
    assert len(machine.receiving.collect()) == 16
    machine.offer(8)
    assert machine.receiving.notifications == notifications + 1
    assert len(machine.receiving.collect()) == 4


def test_frames_before_the_driver_is_ready_come_when_it_is() -> None:
    machine = Machine()
    machine.guest.store(Register.STATUS, 0)
    machine.cable.deliver(frame(1))
    machine.driver.start(queues=2)
    machine.offer(1)
    assert len(machine.receiving.collect()) == 1


def test_frames_are_lost_while_the_link_is_down_and_in_small_buffers() -> None:
    machine = Machine()
    machine.offer(1, length=70)
    machine.offer(1)
    machine.device.set_link(False)
    machine.cable.deliver(frame(1))
    machine.device.set_link(True)
    machine.cable.deliver(frame(2), frame(3))
    assert [transfer.written for transfer in machine.receiving.collect()] == [0, 72]
    assert not machine.cable.waiting


def test_a_flood_of_frames_leaves_the_guest_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "WORK_PER_VISIT", 3 * REQUEST_WORK)
    machine = Machine()
    machine.offer(8)
    machine.cable.deliver(*(frame(number) for number in range(8)))
    assert len(machine.receiving.collect()) == 3
    machine.guest.surroundings.advance(1_000_000)
    assert len(machine.receiving.collect()) == 5
