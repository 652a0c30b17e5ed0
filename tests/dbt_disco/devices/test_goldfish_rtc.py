"""The real-time clock alone, and against QEMU's in the machine loongson3-virt, register for register."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from dbt_disco.devices.goldfish_rtc import GoldfishRtc, Register
from tests.dbt_disco.devices.qemu_devices import QemuDevices
from tests.dbt_disco.devices.surroundings import ManualSurroundings, RecordedLine

START: Final = 1_700_000_000_123_456_789


class Clock:
    """A clock, its interrupt wire and the time around it."""

    def __init__(self, start: int = START) -> None:
        self.surroundings = ManualSurroundings(start)
        self.interrupt = RecordedLine()
        self.device = GoldfishRtc(self.surroundings, self.interrupt)

    def read(self, register: Register) -> int:
        return self.device.read(register, 4)

    def write(self, register: Register, value: int) -> None:
        self.device.write(register, 4, value)

    def time(self) -> int:
        return self.read(Register.TIME_LOW) | self.read(Register.TIME_HIGH) << 32

    def set_alarm(self, time: int) -> None:
        """As Linux's driver does."""
        self.write(Register.ALARM_HIGH, time >> 32)
        self.write(Register.ALARM_LOW, time & 0xFFFF_FFFF)
        self.write(Register.INTERRUPT_ENABLE, 1)


def test_time_is_the_wall_clock() -> None:
    clock = Clock()
    assert clock.time() == START
    clock.surroundings.advance(5_000_000_000)
    assert clock.time() == START + 5_000_000_000


def test_high_half_is_latched_by_reading_the_low_half() -> None:
    clock = Clock(0x1_FFFF_FFFF)
    assert clock.read(Register.TIME_LOW) == 0xFFFF_FFFF
    clock.surroundings.advance(1)
    assert clock.read(Register.TIME_HIGH) == 1
    assert clock.read(Register.TIME_LOW) == 0
    assert clock.read(Register.TIME_HIGH) == 2


def test_time_that_was_set_goes_on_and_survives_reset() -> None:
    clock = Clock()
    clock.write(Register.TIME_HIGH, 0x1234)
    clock.write(Register.TIME_LOW, 0x5678)
    clock.surroundings.advance(7)
    assert clock.time() == 0x1234_0000_5678 + 7
    clock.device.reset()
    assert clock.time() == 0x1234_0000_5678 + 7


def test_alarm_interrupts_at_its_time_and_not_before() -> None:
    clock = Clock()
    clock.set_alarm(START + 1000)
    assert clock.read(Register.ALARM_STATUS) == 1
    clock.surroundings.advance(999)
    assert not clock.interrupt.level
    clock.surroundings.advance(1)
    assert clock.interrupt.level
    assert clock.read(Register.ALARM_STATUS) == 0
    clock.write(Register.CLEAR_INTERRUPT, 1)
    assert not clock.interrupt.level


def test_alarm_in_the_past_rings_at_once() -> None:
    clock = Clock()
    clock.set_alarm(START)
    assert clock.interrupt.level
    assert clock.read(Register.ALARM_STATUS) == 0


def test_cleared_or_replaced_alarm_does_not_ring() -> None:
    clock = Clock()
    clock.set_alarm(START + 1000)
    clock.set_alarm(START + 3000)
    clock.surroundings.advance(2000)
    assert not clock.interrupt.level
    clock.write(Register.CLEAR_ALARM, 1)
    assert clock.read(Register.ALARM_STATUS) == 0
    clock.surroundings.advance(2000)
    assert not clock.interrupt.level


def test_pending_interrupt_waits_for_being_enabled() -> None:
    clock = Clock()
    clock.set_alarm(START)
    clock.write(Register.INTERRUPT_ENABLE, 0)
    assert not clock.interrupt.level
    clock.write(Register.INTERRUPT_ENABLE, 1)
    assert clock.interrupt.level


def test_reset_stops_the_alarm_and_lowers_the_interrupt() -> None:
    clock = Clock()
    clock.set_alarm(START)
    clock.device.reset()
    assert not clock.interrupt.level
    clock.set_alarm(START + 1000)
    clock.device.reset()
    assert clock.surroundings.timers() == []
    assert clock.read(Register.ALARM_LOW) == clock.read(Register.INTERRUPT_ENABLE) == 0


@pytest.mark.parametrize("delay", [0, 1000])
def test_saved_clock_goes_on_elsewhere(delay: int) -> None:
    clock, other = Clock(), Clock()
    clock.write(Register.TIME_LOW, 0)
    now = clock.time()
    clock.set_alarm(now + delay)
    other.device.restore(clock.device.state())
    assert other.time() == now
    assert other.interrupt.level == (delay == 0)
    other.surroundings.advance(delay)
    assert other.interrupt.level


def test_only_words_are_registers() -> None:
    clock = Clock()
    assert clock.device.read(Register.TIME_LOW, 1) == clock.device.read(Register.TIME_LOW, 2) == 0
    clock.device.write(Register.INTERRUPT_ENABLE, 1, 1)
    assert clock.read(Register.INTERRUPT_ENABLE) == 0


# loongson3-virt's memory map (QEMU's hw/mips/loongson3_virt.c) and its interrupt controller's registers
QEMU_CLOCK: Final = 0x1008_1000
QEMU_INTERRUPT_STATUS: Final = 0x3FF0_1420
QEMU_INTERRUPT_ENABLE_SET: Final = 0x3FF0_1428
QEMU_CLOCK_INTERRUPT: Final = 1 << 1


def test_random_accesses_as_on_qemu(program: Callable[[str], str], tmp_path: Path, first_seed: int) -> None:
    """QEMU's clock is stopped, so what counts is the order of accesses, not of time passing."""
    firmware = tmp_path / "firmware"
    firmware.write_bytes(bytes(1 << 20))
    options = ("-bios", str(firmware), "-rtc", "base=2024-05-06T07:08:09,clock=vm", "-S")
    generator = random.Random(first_seed)
    with QemuDevices(program("qemu-system-mips64el"), "loongson3-virt", *options) as qemu:
        qemu.write(QEMU_INTERRUPT_ENABLE_SET, 4, QEMU_CLOCK_INTERRUPT)
        start = qemu.read(QEMU_CLOCK + Register.TIME_LOW, 4)
        start |= qemu.read(QEMU_CLOCK + Register.TIME_HIGH, 4) << 32
        clock = Clock(start)
        assert clock.time() == start
        history: list[str] = []
        for _ in range(5000):
            register = generator.choice(list(Register))
            size = generator.choice((4, 4, 4, 4, 2, 1))
            if generator.random() < 0.5:
                expected = qemu.read(QEMU_CLOCK + register, size)
                history.append(f"read {register.name} {size}: {expected:#x}")
                assert clock.device.read(register, size) == expected, history[-20:]
            else:
                near = start if register & 4 == 0 else start >> 32
                value = generator.choice((generator.getrandbits(32), near + generator.randint(-1, 1), 0, 1))
                value &= (1 << 8 * size) - 1
                history.append(f"write {register.name} {size}: {value:#x}")
                qemu.write(QEMU_CLOCK + register, size, value)
                clock.device.write(register, size, value)
            level = bool(qemu.read(QEMU_INTERRUPT_STATUS, 4) & QEMU_CLOCK_INTERRUPT)
            assert clock.interrupt.level == level, history[-20:]
        assert clock.interrupt.rises > 20
