"""A host thread's sleep, which others may end."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Iterable
from typing import Final

_SECOND: Final = 1_000_000_000
_NONBLOCK_CLOEXEC: Final = os.EFD_NONBLOCK | os.EFD_CLOEXEC
_SIGNAL_SET_SIZE: Final = 128
"""Bytes of glibc's sigset_t."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ppoll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]


class _PollDescriptor(ctypes.Structure):
    """struct pollfd."""

    _fields_ = [("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("found", ctypes.c_short)]


class Sleep:
    """For one thread; `wake` is for any."""

    def __init__(self, undisturbed_by: Iterable[int]) -> None:
        """Those signals wait until the sleep has ended."""
        self._descriptor = os.eventfd(0, _NONBLOCK_CLOEXEC)
        self._polled = _PollDescriptor(self._descriptor, select.POLLIN)
        self._polled_at = ctypes.addressof(self._polled)
        self._timeout = (ctypes.c_int64 * 2)()
        self._timeout_at = ctypes.addressof(self._timeout)
        blocked = {*signal.pthread_sigmask(signal.SIG_BLOCK, ()), *undisturbed_by}
        mask = sum(1 << number - 1 for number in blocked)
        self._mask = ctypes.create_string_buffer(mask.to_bytes(8, "little"), _SIGNAL_SET_SIZE)
        self._mask_at = ctypes.addressof(self._mask)

    def sleep(self, nanoseconds: int | None) -> None:
        """Until `wake`, at most so long (None: no limit); what woke before counts, too."""
        timeout_at = None
        if nanoseconds is not None:
            self._timeout[0], self._timeout[1] = divmod(max(nanoseconds, 0), _SECOND)
            timeout_at = self._timeout_at
        if _libc.ppoll(self._polled_at, 1, timeout_at, self._mask_at) > 0:
            os.eventfd_read(self._descriptor)

    def wake(self) -> None:
        """End the sleep, or the next one."""
        os.eventfd_write(self._descriptor, 1)

    def close(self) -> None:
        os.close(self._descriptor)
