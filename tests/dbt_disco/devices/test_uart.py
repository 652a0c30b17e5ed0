"""The UART by its data sheet."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import pytest

from dbt_disco.devices.uart import Uart
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.surroundings import ManualSurroundings, RecordedLine

EIGHT_BITS: Final = 0x03
DIVISOR_ACCESS: Final = 0x80
RECEIVED, TRANSMITTER_EMPTY, LINE_STATUS = 0x01, 0x02, 0x04
FIFO, CLEAR_RECEIVED, CLEAR_SENT, TRIGGER_4, TRIGGER_14 = 0x01, 0x02, 0x04, 0x40, 0xC0
LOOPBACK: Final = 0x10
DATA_READY, OVERRUN, BREAK, IDLE = 0x01, 0x02, 0x10, 0x60

CHARACTER_TIME: Final = 10 * 1_000_000_000 // 115_200
"""Nanoseconds for start bit, eight bits, stop bit at the speed that `SerialPort` sets."""


class Register(IntEnum):
    """Offsets; some registers share one."""

    DATA = 0x00
    INTERRUPT_ENABLE = 0x08
    INTERRUPT_IDENTIFICATION = 0x10
    FIFO_CONTROL = 0x10
    LINE_CONTROL = 0x18
    MODEM_CONTROL = 0x20
    LINE_STATUS = 0x28
    MODEM_STATUS = 0x30
    SCRATCH = 0x38


class SerialPort:
    """A UART at 115200 bits per second, 8 data bits, and what it is connected to."""

    def __init__(self) -> None:
        self.surroundings = ManualSurroundings()
        self.interrupt = RecordedLine()
        self.line = CharacterLine()
        self.device = Uart(self.surroundings, self.interrupt, self.line)
        self.write(Register.LINE_CONTROL, DIVISOR_ACCESS)
        self.write(Register.DATA, 2)
        self.write(Register.INTERRUPT_ENABLE, 0)
        self.write(Register.LINE_CONTROL, EIGHT_BITS)

    def read(self, register: Register) -> int:
        return self.device.read(register, 1)

    def write(self, register: Register, value: int) -> None:
        self.device.write(register, 1, value)

    def identification(self) -> int:
        """Reads the interrupt's identification; the wire is raised exactly if it names one."""
        raised = self.interrupt.level
        value = self.read(Register.INTERRUPT_IDENTIFICATION)
        assert raised == (value & 1 == 0)
        return value


@pytest.fixture
def port() -> SerialPort:
    return SerialPort()


def test_registers_after_reset(port: SerialPort) -> None:
    port.device.reset()
    assert [port.read(Register(offset)) for offset in range(0, 0x40, 8)] == [0, 0, 1, 0, 8, 0x60, 0xB0, 0]


def test_sent_characters_come_out_at_once(port: SerialPort) -> None:
    for character in b"console":
        assert port.read(Register.LINE_STATUS) == IDLE
        port.write(Register.DATA, character)
    assert port.line.sent == b"console"


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("displacement", [0, 4])
def test_accesses_of_all_sizes_reach_the_register(port: SerialPort, size: int, displacement: int) -> None:
    value = 0xFFFF_FF5A & (1 << 8 * size) - 1
    port.device.write(Register.SCRATCH + displacement, size, value)
    assert port.device.read(Register.SCRATCH + displacement, size) == 0x5A
    port.device.write(Register.DATA + displacement, size, value)
    assert port.line.sent == b"\x5a"


def test_divisor_latch_hides_data_and_interrupt_enable(port: SerialPort) -> None:
    port.write(Register.INTERRUPT_ENABLE, RECEIVED)
    port.write(Register.LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS)
    port.write(Register.DATA, 0x34)
    port.write(Register.INTERRUPT_ENABLE, 0x12)
    assert (port.read(Register.DATA), port.read(Register.INTERRUPT_ENABLE)) == (0x34, 0x12)
    port.write(Register.LINE_CONTROL, EIGHT_BITS)
    assert port.read(Register.INTERRUPT_ENABLE) == RECEIVED
    assert port.line.sent == b""


def test_identification_acknowledges_the_transmitter(port: SerialPort) -> None:
    port.write(Register.INTERRUPT_ENABLE, TRANSMITTER_EMPTY)
    assert port.identification() == 0x02
    assert port.identification() == 0x01
    port.write(Register.DATA, ord("x"))
    assert port.identification() == 0x02
    assert port.identification() == 0x01
    port.write(Register.INTERRUPT_ENABLE, TRANSMITTER_EMPTY)
    assert port.identification() == 0x01, "already enabled"
    port.write(Register.INTERRUPT_ENABLE, 0)
    port.write(Register.INTERRUPT_ENABLE, TRANSMITTER_EMPTY)
    assert port.identification() == 0x02, "enabled anew"


def test_without_fifo_one_character_interrupts_and_the_rest_waits_outside(port: SerialPort) -> None:
    port.write(Register.INTERRUPT_ENABLE, RECEIVED)
    port.line.send(b"ab")
    assert port.identification() == 0x04
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY
    assert port.read(Register.DATA) == ord("a")
    assert port.identification() == 0x04
    assert port.read(Register.DATA) == ord("b")
    assert port.identification() == 0x01
    assert port.read(Register.LINE_STATUS) == IDLE


@pytest.mark.parametrize(("trigger_bits", "level"), [(0x00, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
def test_fifo_interrupts_at_its_trigger_level(port: SerialPort, trigger_bits: int, level: int) -> None:
    port.write(Register.FIFO_CONTROL, FIFO | trigger_bits)
    port.write(Register.INTERRUPT_ENABLE, RECEIVED)
    for _ in range(level - 1):
        port.line.send(b"x")
        assert port.identification() == 0xC1
        assert port.read(Register.LINE_STATUS) & DATA_READY
    port.line.send(b"x")
    assert port.identification() == 0xC4
    port.read(Register.DATA)
    assert port.identification() == 0xC1


def test_character_timeout_interrupts_after_four_characters_time(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_14)
    port.write(Register.INTERRUPT_ENABLE, RECEIVED)
    port.line.send(b"abc")
    port.surroundings.advance(3 * CHARACTER_TIME)
    port.line.send(b"d")
    port.surroundings.advance(4 * CHARACTER_TIME - 10)
    assert port.identification() == 0xC1, "the last character started the time anew"
    port.surroundings.advance(20)
    assert port.identification() == 0xCC
    assert port.read(Register.DATA) == ord("a")
    assert port.identification() == 0xC1, "reading ends it"
    port.surroundings.advance(4 * CHARACTER_TIME + 10)
    assert port.identification() == 0xCC, "characters are still there"
    assert bytes(port.read(Register.DATA) for _ in range(3)) == b"bcd"
    port.surroundings.advance(10 * CHARACTER_TIME)
    assert port.identification() == 0xC1
    assert port.surroundings.timers() == []


def test_enabling_or_clearing_the_fifo_empties_it(port: SerialPort) -> None:
    port.line.send(b"a")
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_4)
    assert port.read(Register.LINE_STATUS) == IDLE
    port.line.send(b"bcd")
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_4 | CLEAR_SENT)
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_4 | CLEAR_RECEIVED)
    assert port.read(Register.LINE_STATUS) == IDLE
    assert port.read(Register.DATA) == 0
    assert port.surroundings.timers() == []


def test_disabling_the_fifo_makes_room_for_waiting_input(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO)
    port.line.send(b"abc")
    port.write(Register.FIFO_CONTROL, 0)
    assert port.read(Register.DATA) == ord("b")


def test_flow_control_keeps_input_outside(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_4)
    text = bytes(range(100))
    port.line.send(text)
    assert len(port.line.waiting) == 96
    assert bytes(port.read(Register.DATA) for _ in text) == text
    assert port.read(Register.LINE_STATUS) == IDLE, "nothing was lost"


def test_overrun_keeps_the_fifo_and_loses_the_character(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO)
    port.write(Register.INTERRUPT_ENABLE, LINE_STATUS)
    port.device.receive(bytes(range(17)))
    assert port.identification() == 0xC6
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY | OVERRUN
    assert port.identification() == 0xC1
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY
    assert [port.read(Register.DATA) for _ in range(17)] == [*range(16), 0]


def test_overrun_without_fifo_overwrites(port: SerialPort) -> None:
    port.device.receive(b"ab")
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY | OVERRUN
    assert port.read(Register.DATA) == ord("b")


def test_break_is_a_zero_character_and_a_line_status_interrupt(port: SerialPort) -> None:
    port.write(Register.INTERRUPT_ENABLE, RECEIVED | LINE_STATUS)
    port.device.receive_break()
    assert port.identification() == 0x06
    assert port.read(Register.LINE_STATUS) == IDLE | DATA_READY | BREAK
    assert port.identification() == 0x04
    assert port.read(Register.DATA) == 0
    assert port.identification() == 0x01


def test_interrupts_are_identified_by_priority(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO)
    port.write(Register.INTERRUPT_ENABLE, RECEIVED | TRANSMITTER_EMPTY | LINE_STATUS)
    port.device.receive_break()
    assert port.identification() == 0xC6
    port.read(Register.LINE_STATUS)
    assert port.identification() == 0xC4
    port.surroundings.advance(5 * CHARACTER_TIME)
    assert port.identification() == 0xCC
    port.read(Register.DATA)
    assert port.identification() == 0xC2
    assert port.identification() == 0xC1


def test_loopback_returns_characters_and_modem_control(port: SerialPort) -> None:
    port.write(Register.MODEM_CONTROL, LOOPBACK)
    port.write(Register.DATA, ord("q"))
    assert port.line.sent == b""
    assert port.read(Register.DATA) == ord("q")
    for control, status in ((0x1, 0x20), (0x2, 0x10), (0x4, 0x40), (0x8, 0x80), (0xF, 0xF0), (0xA, 0x90)):
        port.write(Register.MODEM_CONTROL, LOOPBACK | control)
        assert port.read(Register.MODEM_STATUS) == status
    port.write(Register.MODEM_CONTROL, 0)
    assert port.read(Register.MODEM_STATUS) == 0xB0


def test_input_waits_until_loopback_is_over(port: SerialPort) -> None:
    port.write(Register.MODEM_CONTROL, LOOPBACK)
    port.line.send(b"a")
    assert port.read(Register.LINE_STATUS) == IDLE
    port.write(Register.MODEM_CONTROL, 0)
    assert port.read(Register.DATA) == ord("a")


def test_status_registers_cannot_be_written(port: SerialPort) -> None:
    port.write(Register.LINE_STATUS, 0x1F)
    port.write(Register.MODEM_STATUS, 0x0F)
    assert (port.read(Register.LINE_STATUS), port.read(Register.MODEM_STATUS)) == (IDLE, 0xB0)


def test_saved_uart_goes_on_elsewhere(port: SerialPort) -> None:
    port.write(Register.FIFO_CONTROL, FIFO | TRIGGER_14)
    port.write(Register.INTERRUPT_ENABLE, RECEIVED)
    port.write(Register.SCRATCH, 0x77)
    port.line.send(b"saved")
    other = SerialPort()
    other.device.restore(port.device.state())
    assert other.device.state() == port.device.state()
    assert other.read(Register.SCRATCH) == 0x77
    other.surroundings.advance(5 * CHARACTER_TIME)
    assert other.identification() == 0xCC
    assert bytes(other.read(Register.DATA) for _ in range(5)) == b"saved"
