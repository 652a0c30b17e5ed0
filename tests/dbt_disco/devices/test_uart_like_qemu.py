"""The UART against QEMU's on the Malta board: random accesses with equal results, and the timeout in real time."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from dbt_disco.devices.uart import Uart
from dbt_disco.virtual_machine.platform import UART
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.qemu_devices import QemuDevices
from tests.dbt_disco.devices.surroundings import ManualSurroundings, RecordedLine

DATA, INTERRUPT_ENABLE, FIFO_CONTROL, LINE_CONTROL, MODEM_CONTROL, LINE_STATUS, MODEM_STATUS, SCRATCH = range(
    8
)
INTERRUPT_IDENTIFICATION: Final = FIFO_CONTROL
DIVISOR_ACCESS: Final = 0x80
LOOPBACK: Final = 0x10
FIFO, CLEAR_RECEIVED, CLEAR_SENT = 0x01, 0x02, 0x04


class Pair:
    """Our UART and QEMU's; every access goes to both and must have the same result."""

    def __init__(self, qemu: QemuDevices, connection: socket.socket) -> None:
        self.surroundings = ManualSurroundings()
        self.interrupt = RecordedLine()
        self.line = CharacterLine()
        self._device = Uart(self.surroundings, self.interrupt, self.line)
        self._qemu = qemu
        self._connection = connection
        self._history = deque[str](maxlen=40)

    def read(self, register: int, size: int = 1, displacement: int = 0) -> int:
        offset = 8 * register + displacement
        raised, waiting = self.interrupt.level, bool(self.line.waiting)
        expected = self._qemu.read(UART.start + offset, size)
        value = self._device.read(offset, size)
        self._history.append(f"read {register} {size}: {expected:#04x}")
        assert value == expected, f"{value:#04x} instead of the last in {list(self._history)}"
        if register == INTERRUPT_IDENTIFICATION:
            assert raised == (value & 1 == 0), list(self._history)
        if waiting:
            self._qemu_takes_input()
        return value

    def write(self, register: int, value: int, size: int = 1, displacement: int = 0) -> None:
        offset = 8 * register + displacement
        waiting = bool(self.line.waiting)
        self._qemu.write(UART.start + offset, size, value)
        self._device.write(offset, size, value)
        self._history.append(f"write {register} {size}: {value:#04x}")
        if waiting:
            self._qemu_takes_input()

    def send(self, data: bytes) -> None:
        """Characters from outside."""
        self._history.append(f"send {data!r}")
        self._connection.sendall(data)
        self.line.send(data)
        self._qemu_takes_input()

    def _qemu_takes_input(self) -> None:
        """QEMU looks at its inputs once in a round of its main loop, and each request takes one round at least."""
        for _ in range(10):
            self._qemu.read(UART.start + 8 * SCRATCH, 1)

    def sent_by_qemu(self) -> bytes:
        """What has come out of QEMU's UART: as much as out of ours, at most one character more."""
        self._connection.settimeout(10)
        sent = bytearray()
        while len(sent) < len(self.line.sent):
            sent += self._connection.recv(1 << 16)
        return bytes(sent)


@contextmanager
def pair(program: str, directory: Path, *options: str) -> Iterator[Pair]:
    """The Malta board's third serial line is the UART of its FPGA."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "line"))
        listener.listen()
        lines = ("-serial", "null", "-serial", "null", "-serial", f"unix:{directory / 'line'}")
        with QemuDevices(program, "malta", *lines, *options) as qemu:
            connection, _ = listener.accept()
            with connection:
                yield Pair(qemu, connection)


PROGRAMS: Final = ("qemu-system-mipsel", "qemu-system-mips")


@pytest.mark.parametrize("name", PROGRAMS)
def test_random_accesses(program: Callable[[str], str], tmp_path: Path, name: str, first_seed: int) -> None:
    """All registers with all values, in and out of loopback, which is where received characters come from here."""
    generator = random.Random(first_seed)
    with pair(program(name), tmp_path, "-S") as both:
        for _ in range(12_000):
            register = generator.randrange(8)
            size = generator.choice((1, 1, 2, 4))
            displacement = generator.randrange(0, 8, size)
            if generator.random() < 0.45:
                both.read(register, size, displacement)
                continue
            value = generator.getrandbits(8)
            if register == LINE_CONTROL and generator.random() < 0.7:
                value &= ~DIVISOR_ACCESS
            elif register == FIFO_CONTROL and generator.random() < 0.7:
                value = value & ~CLEAR_RECEIVED | FIFO
            elif register == MODEM_CONTROL and generator.random() < 0.7:
                value |= LOOPBACK
            both.write(
                register, value | generator.getrandbits(32) << 8 & (1 << 8 * size) - 1, size, displacement
            )
        assert both.interrupt.rises > 200
        assert len(both.line.sent) > 10
        assert both.sent_by_qemu() == both.line.sent


@pytest.mark.parametrize("name", PROGRAMS)
def test_random_input(program: Callable[[str], str], tmp_path: Path, name: str, first_seed: int) -> None:
    """Characters from outside, in a hurry, while the guest reads some and switches interrupts and the FIFO.

    Not in loopback, where QEMU goes on receiving; and with one trigger level each, because a lowered one makes QEMU
    take single characters beyond it.
    """
    generator = random.Random(first_seed)
    with pair(program(name), tmp_path, "-S") as both:
        for trigger in (0x00, 0x40, 0x80, 0xC0):
            both.write(FIFO_CONTROL, 0)
            for _ in range(500):
                choice = generator.random()
                if choice < 0.2 and len(both.line.waiting) < 100:
                    both.send(generator.randbytes(generator.randint(1, 20)))
                elif choice < 0.7:
                    both.read(DATA)
                elif choice < 0.75:
                    clear = generator.choice((0, CLEAR_RECEIVED, CLEAR_SENT))
                    both.write(FIFO_CONTROL, generator.choice((0, FIFO, FIFO)) | clear | trigger)
                elif choice < 0.85:
                    both.write(INTERRUPT_ENABLE, generator.getrandbits(4))
                else:
                    both.read(generator.choice((INTERRUPT_IDENTIFICATION, LINE_STATUS, MODEM_STATUS)))
        assert both.interrupt.rises > 100


LOOP_AT: Final = 0x8000_1000
BRANCH_TO_SELF: Final = (0x1000_FFFF, 0)


def _endless_loop(path: Path) -> None:
    """A kernel for QEMU that lets time pass: a little-endian ELF with one segment of two instructions."""
    code = struct.pack("<2I", *BRANCH_TO_SELF)
    executable, mips, version, flags = 2, 8, 1, 0x7000_1000  # o32, MIPS32r2
    identification = b"\x7fELF" + bytes((1, 1, 1)) + bytes(9)
    header = struct.pack(
        "<HHIIIIIHHHHHH", executable, mips, version, LOOP_AT, 52, 0, flags, 52, 32, 1, 0, 0, 0
    )
    load, readable_executable = 1, 5
    segment = (load, 84, LOOP_AT, LOOP_AT & 0x1FFF_FFFF, len(code), len(code), readable_executable, 4)
    path.write_bytes(identification + header + struct.pack("<8I", *segment) + code)


def test_character_timeout(program: Callable[[str], str], tmp_path: Path) -> None:
    """At 600 bits per second four characters take 67 ms: QEMU is asked long before that, or long after."""
    kernel = tmp_path / "loop"
    _endless_loop(kernel)
    with pair(program("qemu-system-mipsel"), tmp_path, "-kernel", str(kernel)) as both:

        def wait() -> None:
            time.sleep(0.3)
            both.surroundings.advance(300_000_000)

        both.write(LINE_CONTROL, DIVISOR_ACCESS)
        both.write(DATA, 384 & 0xFF)
        both.write(INTERRUPT_ENABLE, 384 >> 8)
        both.write(LINE_CONTROL, 0x03)
        both.write(FIFO_CONTROL, FIFO | 0x80)
        both.write(INTERRUPT_ENABLE, 0x05)
        both.send(b"abc")
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xC1
        wait()
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xCC
        both.read(DATA)
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xC1
        wait()
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xCC
        both.write(FIFO_CONTROL, FIFO | CLEAR_RECEIVED | 0x80)
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xC1
        both.send(b"d")
        both.read(DATA)
        wait()
        assert both.read(INTERRUPT_IDENTIFICATION) == 0xC1
