"""The console device between a driver like Linux's virtio_console and a line in the test's hands."""

from __future__ import annotations

from dbt_disco.devices.virtio.console import INPUT_CAPACITY, OUTPUT_PIECE, ConsoleDevice
from dbt_disco.devices.virtio.registers import Register
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.virtio.driver import Driver, DriverQueue
from tests.dbt_disco.devices.virtio.guest import RAM_START, Guest


class Machine:
    def __init__(self) -> None:
        self.line = CharacterLine()
        self.device = ConsoleDevice(self.line, columns=100, rows=30)
        self.guest = Guest(self.device)
        self.driver = Driver(self.guest)

    def start(self) -> tuple[DriverQueue, DriverQueue]:
        self.driver.start(queues=2)
        receiving, sending = self.driver.queues
        return receiving, sending

    def received(self) -> bytes:
        return b"".join(one.data[: one.written] for one in self.driver.queues[0].collect())


def test_the_configuration_has_the_terminals_size() -> None:
    machine = Machine()
    assert machine.guest.load(Register.CONFIG, 2) == 100
    assert machine.guest.load(Register.CONFIG + 2, 2) == 30
    machine.device.resize(80, 24)
    assert machine.guest.load(Register.CONFIG) == 24 << 16 | 80


def test_output() -> None:
    machine = Machine()
    _, sending = machine.start()
    sending.request([b"Hello, ", b"world\n"])
    assert machine.line.sent == b"Hello, world\n"


def test_long_output_goes_out_in_pieces() -> None:
    machine = Machine()
    _, sending = machine.start()
    data = bytes(range(256)) * (OUTPUT_PIECE // 100)
    sending.request([data])
    assert machine.line.sent == data


def test_output_without_end_needs_a_reset() -> None:
    machine = Machine()
    _, sending = machine.start()
    sending.offer([(RAM_START, 1 << 20, 0)] * 17)
    sending.kick()
    assert machine.guest.transport.failure is not None
    assert machine.guest.transport.failure.endswith("bytes of output at once, 16777216 are the most")


def test_emergency_output_needs_no_driver() -> None:
    machine = Machine()
    for character in b"panic":
        machine.guest.store(Register.CONFIG + 8, character | 0xABCD00)
    assert machine.line.sent == b"panic"


def test_input_fills_the_drivers_buffers() -> None:
    machine = Machine()
    receiving, _ = machine.start()
    for _ in range(3):
        receiving.add([], [4, 4])
    receiving.kick()
    machine.line.send(b"0123456789abcdef")
    assert machine.received() == b"0123456789abcdef"
    assert len(receiving.outstanding) == 1
    machine.line.send(b"!")
    assert machine.received() == b"!"


def test_input_waits_for_the_driver_and_holds_the_line_back() -> None:
    machine = Machine()
    data = bytes(range(256)) * (INPUT_CAPACITY // 64)
    machine.line.send(data)
    assert len(machine.line.waiting) == len(data) - INPUT_CAPACITY
    assert machine.device.receive_capacity() == 0
    receiving, _ = machine.start()
    received = b""
    while len(received) < len(data):
        receiving.add([], [1000])
        receiving.kick()
        piece = machine.received()
        assert piece
        received += piece
    assert received == data


def test_input_survives_a_reset() -> None:
    machine = Machine()
    machine.start()
    machine.line.send(b"typed early")
    receiving, _ = machine.start()
    receiving.add([], [100])
    receiving.kick()
    assert machine.received() == b"typed early"


def test_a_checkpoint_has_the_input_that_waits() -> None:
    machine = Machine()
    machine.line.send(b"typed")
    other = Machine()
    other.guest.transport.restore(machine.guest.transport.state())
    receiving, _ = other.start()
    receiving.add([], [100])
    receiving.kick()
    assert other.received() == b"typed"


def test_buffers_of_the_wrong_kind_harm_nobody() -> None:
    machine = Machine()
    receiving, sending = machine.start()
    receiving.add([b"readable"], [])
    receiving.kick()
    sending.request([], [8])
    machine.line.send(b"x")
    assert machine.received() == b""
    assert machine.guest.transport.failure is None and not machine.line.sent
