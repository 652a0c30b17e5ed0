"""POSIX timers of the host (timer_create(2)), whose signals are handled by native routines."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from typing import Final

SIGNAL_VALUE_OFFSET: Final = 24
"""Of si_value in the siginfo_t that a timer's signal comes with."""
_SIGEV_SIGNAL: Final = 0
_SIGEV_THREAD_ID: Final = 4
_TIMER_ABSTIME: Final = 1
_SECOND: Final = 1_000_000_000


class _SignalEvent(ctypes.Structure):
    """struct sigevent of Linux."""

    _fields_ = [
        ("value", ctypes.c_uint64),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_uint8 * 44),
    ]


_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.timer_create.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_delete.argtypes = [ctypes.c_void_p]


class PosixTimer:
    """A timer that is not set yet. Times are in nanoseconds."""

    def __init__(
        self,
        number: signal.Signals | int,
        value: int,
        *,
        clock: int = time.CLOCK_MONOTONIC,
        thread: int | None = None,
    ) -> None:
        """It sends signal `number` with `value` (an address), to a thread by its native number or to the process.

        OSError if the host has no timer left.
        """
        notify = _SIGEV_SIGNAL if thread is None else _SIGEV_THREAD_ID
        event = _SignalEvent(value, number, notify, thread or 0)
        self._timer: Final = ctypes.c_void_p()
        if _libc.timer_create(clock, ctypes.byref(event), ctypes.byref(self._timer)):
            code = ctypes.get_errno() or errno.EAGAIN
            raise OSError(code, f"timer_create: {os.strerror(code)}")
        self._setting: Final = (ctypes.c_int64 * 4)()
        self._setting_at: Final = ctypes.addressof(self._setting)

    @property
    def id(self) -> int:
        """What timer_settime(2) knows it by; the first one of a process is 0."""
        return self._timer.value or 0

    def expire_at(self, moment: int) -> None:
        """Expire once, at a time of its clock, instead of what was set before; on any thread, one at a time."""
        self._setting[2], self._setting[3] = divmod(max(moment, 1), _SECOND)
        _libc.timer_settime(self._timer, _TIMER_ABSTIME, self._setting_at, None)

    def repeat(self, interval: int) -> None:
        """Expire again and again."""
        setting = (ctypes.c_int64 * 4)(*divmod(interval, _SECOND), *divmod(interval, _SECOND))
        _libc.timer_settime(self._timer, 0, ctypes.byref(setting), None)

    def close(self) -> None:
        """No signal comes any more."""
        _libc.timer_delete(self._timer)
