"""Waiting for file descriptors on behalf of a vCPU's thread, whatever that thread is doing.

All descriptors are in one epoll set. An idle vCPU's thread sleeps on the set itself. While native code runs, a thread
of ours waits for the set and only asks for attention; the vCPU's thread then looks into the set and calls back.
So no event is ever held anywhere but in the host's kernel, where it cannot be lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import threading
from collections.abc import Callable
from typing import Final

_SECOND: Final = 1_000_000_000
_ONCE: Final = select.EPOLLIN | select.EPOLLONESHOT
_WAKE_BYTES: Final = 512
"""Read at once from the pipe that wakes; there is one for each call of `wake` that came before."""

_libc = ctypes.CDLL(None)
_libc.ppoll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]


class _PollDescriptor(ctypes.Structure):
    """struct pollfd."""

    _fields_ = [("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("found", ctypes.c_short)]


class DescriptorWatch:
    """The descriptors that one virtual machine waits for."""

    def __init__(self, attention: Callable[[], None]) -> None:
        """`attention` makes the vCPU's thread call `dispatch` soon."""
        self.attention = attention
        """Called on another thread; may be exchanged."""
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._always_ready: set[int] = set()
        self._interrupted = False
        self._closed = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._set = select.epoll()
        self._set.register(self._wake_read, select.EPOLLIN)
        self._set_as_member = select.epoll()
        self._set_as_member.register(self._set.fileno(), _ONCE)
        self._polled = _PollDescriptor(self._set.fileno(), select.POLLIN)
        self._polled_at = ctypes.addressof(self._polled)
        self._timeout = (ctypes.c_int64 * 2)()
        self._timeout_at = ctypes.addressof(self._timeout)
        self._thread = threading.Thread(target=self._ask_for_attention, name="dbt-disco-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close what is ours."""
        self._closed = True
        self.wake()
        self._set_as_member.modify(self._set.fileno(), _ONCE)
        self._thread.join()
        self._set_as_member.close()
        self._set.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # On the vCPU's thread.

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Have `dispatch` call back as long as the descriptor is readable, or hung up."""
        if descriptor not in self._callbacks:
            try:
                self._set.register(descriptor, select.EPOLLIN)
            except PermissionError:  # what cannot be waited for, as files and /dev/null, is always ready
                self._always_ready.add(descriptor)
                self.wake()
        self._callbacks[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        """No more of that; nothing happens if it is not watched."""
        if self._callbacks.pop(descriptor, None) is None:
            return
        if descriptor in self._always_ready:
            self._always_ready.discard(descriptor)
        else:
            self._set.unregister(descriptor)

    def dispatch(self) -> None:
        """Call back for everything that is ready."""
        ready = [descriptor for descriptor, _ in self._set.poll(0)]
        if self._wake_read in ready:
            self._take_wake()
        for descriptor in (*ready, *self._always_ready):
            callback = self._callbacks.get(descriptor)  # an earlier callback may have ended the watch
            if callback is not None:
                callback()
        if self._always_ready:
            self.wake()
        self._set_as_member.modify(self._set.fileno(), _ONCE)

    def sleep(self, nanoseconds: int | None) -> bool:
        """Sleep for as long (None: for ever), or until there is something to dispatch, which is the result.

        A host signal may end the sleep early.
        """
        if nanoseconds is None:
            return bool(_libc.ppoll(self._polled_at, 1, None, None) > 0)
        self._timeout[0], self._timeout[1] = divmod(nanoseconds, _SECOND)
        return bool(_libc.ppoll(self._polled_at, 1, self._timeout_at, None) > 0)

    @property
    def set_descriptor(self) -> int:
        """Readable while there is something to dispatch."""
        return self._set.fileno()

    def wait_for(self, descriptor: int, events: int) -> bool:
        """Wait until a descriptor is ready for poll(2)'s `events`; False if `interrupt` comes before that."""
        poll = select.poll()
        poll.register(descriptor, events)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = [found for found, _ in poll.poll(0 if self._interrupted else None)]
            if descriptor in ready:
                return True
            self._take_wake()
            if self._interrupted:
                return False

    def _take_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._wake_read, _WAKE_BYTES)) == _WAKE_BYTES:
                pass

    # On any thread, and in signal handlers.

    @property
    def wake_descriptor(self) -> int:
        """Where a byte written wakes, for `signal.set_wakeup_fd`; it does not block."""
        return self._wake_write

    def wake(self) -> None:
        """End `sleep`, and have `attention` called."""
        with contextlib.suppress(BlockingIOError):  # it is full: nobody can oversleep that
            os.write(self._wake_write, b"\0")

    def interrupt(self) -> None:
        """From now on nothing is waited for any more."""
        self._interrupted = True
        self.wake()

    # The thread.

    def _ask_for_attention(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            self._set_as_member.poll()
            if self._closed:
                return
            self.attention()
