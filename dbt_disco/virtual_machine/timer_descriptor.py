"""A timer that can be waited for like any other file descriptor (timerfd_create(2); `os` has it from Python 3.13)."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE: Final = 1
_SECOND: Final = 1_000_000_000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.timerfd_settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class TimerDescriptor:
    """Readable from the moment it is set to until it is acknowledged."""

    def __init__(self) -> None:
        self.descriptor: Final[int] = _libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.descriptor < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"timerfd_create: {os.strerror(error)}")
        # struct itimerspec: interval, then time, each in seconds and nanoseconds.
        self._setting = (ctypes.c_int64 * 4)()

    def set(self, time: int) -> None:
        """To a time of `time.monotonic_ns`, which replaces any other; one that has passed counts, too."""
        self._setting[2], self._setting[3] = divmod(max(time, 1), _SECOND)
        _libc.timerfd_settime(self.descriptor, _ABSOLUTE, ctypes.addressof(self._setting), None)

    def acknowledge(self) -> None:
        """Be unreadable until the time that is set next."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 8)

    def close(self) -> None:
        os.close(self.descriptor)
