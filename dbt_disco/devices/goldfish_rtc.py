"""The real-time clock of Google's "goldfish" virtual platform, behaving as QEMU's hw/rtc/goldfish_rtc.c.

Time is in nanoseconds since 1970, in 64 bits. Reading the low half latches the high half.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from dbt_disco.devices.device import Device, InterruptLine, Surroundings, Timer

_LOW: Final = 0xFFFF_FFFF
_64_BITS: Final = (1 << 64) - 1


class Register(IntEnum):
    """Offsets of the registers, all of them 32 bits wide."""

    TIME_LOW = 0x00
    TIME_HIGH = 0x04
    ALARM_LOW = 0x08
    ALARM_HIGH = 0x0C
    INTERRUPT_ENABLE = 0x10
    CLEAR_ALARM = 0x14
    ALARM_STATUS = 0x18
    CLEAR_INTERRUPT = 0x1C


class GoldfishRtc(Device):
    """A clock that the guest reads and sets, and one alarm that interrupts.

    Writing the low half of the alarm starts it; an alarm that is not in the future rings at once. The time that the
    guest has set survives a reset: a real clock has a battery.
    """

    def __init__(self, surroundings: Surroundings, interrupt: InterruptLine) -> None:
        self._surroundings = surroundings
        self._interrupt = interrupt
        self._offset = 0
        self._timer: Timer | None = None
        self._clear()

    def _clear(self) -> None:
        self._time_high = 0
        self._alarm = 0
        self._alarm_running = False
        self._interrupt_pending = False
        self._interrupt_enabled = False

    def read(self, offset: int, size: int) -> int:
        if size != 4:
            return 0
        match offset:
            case Register.TIME_LOW:
                time = self._time()
                self._time_high = time >> 32
                return time & _LOW
            case Register.TIME_HIGH:
                return self._time_high
            case Register.ALARM_LOW:
                return self._alarm & _LOW
            case Register.ALARM_HIGH:
                return self._alarm >> 32
            case Register.INTERRUPT_ENABLE:
                return int(self._interrupt_enabled)
            case Register.ALARM_STATUS:
                return int(self._alarm_running)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        match offset:
            case Register.TIME_LOW:
                self._set_time(self._time() & ~_LOW | value)
            case Register.TIME_HIGH:
                self._set_time(self._time() & _LOW | value << 32)
            case Register.ALARM_LOW:
                self._alarm = self._alarm & ~_LOW | value
                self._start_alarm()
            case Register.ALARM_HIGH:
                self._alarm = self._alarm & _LOW | value << 32
            case Register.INTERRUPT_ENABLE:
                self._interrupt_enabled = bool(value & 1)
                self._drive_interrupt()
            case Register.CLEAR_ALARM:
                self._stop_alarm()
            case Register.CLEAR_INTERRUPT:
                self._interrupt_pending = False
                self._drive_interrupt()

    def reset(self) -> None:
        self._stop_alarm()
        self._clear()
        self._drive_interrupt()

    def state(self) -> dict[str, Any]:
        return {
            "offset": self._offset,
            "time_high": self._time_high,
            "alarm": self._alarm,
            "alarm_running": self._alarm_running,
            "interrupt_pending": self._interrupt_pending,
            "interrupt_enabled": self._interrupt_enabled,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._stop_alarm()
        self._offset = state["offset"]
        self._time_high = state["time_high"]
        self._alarm = state["alarm"]
        self._interrupt_pending = state["interrupt_pending"]
        self._interrupt_enabled = state["interrupt_enabled"]
        self._drive_interrupt()
        if state["alarm_running"]:
            self._start_alarm()

    def _time(self) -> int:
        return (self._surroundings.wall_clock() + self._offset) & _64_BITS

    def _set_time(self, time: int) -> None:
        """An alarm that is running keeps the moment it was started for, as in QEMU."""
        self._offset += time - self._time()

    def _start_alarm(self) -> None:
        self._stop_alarm()
        delay = self._alarm - self._time()
        if delay <= 0:
            self._ring()
        else:
            self._timer = self._surroundings.call_at(self._surroundings.now() + delay, self._ring)
            self._alarm_running = True

    def _stop_alarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._alarm_running = False

    def _ring(self) -> None:
        self._timer = None
        self._alarm_running = False
        self._interrupt_pending = True
        self._drive_interrupt()

    def _drive_interrupt(self) -> None:
        self._interrupt.set(self._interrupt_pending and self._interrupt_enabled)
