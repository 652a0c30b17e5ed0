"""Time and the outside world for devices, under the host clock.

A thread of its own waits for file descriptors and asks the vCPU to stop by; callbacks run on the vCPU's thread, in
`run_callbacks`. The thread exists only while somebody watches something.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from select import POLLIN, poll
from time import monotonic_ns, time_ns
from typing import Final

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000


class HostTimer:
    """A promised callback."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class HostSurroundings:
    """What `dbt_disco.devices.device.Surroundings` asks for, and what a run loop needs beside it."""

    def __init__(self, attention: Callable[[], None]) -> None:
        """`attention` makes the vCPU leave native code soon; called on any thread."""
        self._attention = attention
        self._start: Final = monotonic_ns()
        self._timers: list[tuple[int, int, HostTimer]] = []
        self._timers_made = 0
        self._watched: dict[int, Callable[[], None]] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._changed_read, self._changed_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._changed_read, selectors.EVENT_READ)
        self._ready: list[int] = []
        self._always_ready: list[int] = []
        self._handled = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False

    def close(self) -> None:
        """End the thread and close what is ours."""
        self._closing = True
        self._handled.set()
        if self._thread is not None:
            os.write(self._changed_write, b"c")
            self._thread.join()
        self._selector.close()
        for descriptor in (self._wake, self._changed_read, self._changed_write):
            os.close(descriptor)

    # For devices.

    def now(self) -> int:
        return monotonic_ns() - self._start

    def wall_clock(self) -> int:
        return time_ns()

    def call_at(self, time: int, callback: Callable[[], None]) -> HostTimer:
        timer = HostTimer(callback)
        self._timers_made += 1
        heappush(self._timers, (time, self._timers_made, timer))
        self._change()  # the thread has to wait less
        return timer

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self._watched[descriptor] = callback
        self._change()

    def unwatch(self, descriptor: int) -> None:
        self._watched.pop(descriptor, None)
        self._change()

    def random(self, length: int) -> bytes:
        return os.urandom(length)

    # For the run loop.

    def wake(self) -> None:
        """End `wait`; called on any thread."""
        os.eventfd_write(self._wake, 1)

    def wait(self, until: int | None) -> None:
        """Sleep until `now()` is `until` (None: for ever), or there is something to call back for."""
        first = self._timers[0][0] if self._timers else None
        if first is not None and (until is None or first < until):
            until = first
        waiting = poll()
        waiting.register(self._wake, POLLIN)
        timeout = None if until is None else max(0, (until - self.now()) / _NANOSECONDS_PER_MILLISECOND)
        if waiting.poll(timeout):
            os.eventfd_read(self._wake)

    def run_callbacks(self) -> None:
        """Call back for what is ready and for timers that are due."""
        if self._ready:
            ready, self._ready = self._ready, []
            for descriptor in ready:
                callback = self._watched.get(descriptor)
                if callback is not None:
                    callback()
            self._handled.set()
        while self._timers and self._timers[0][0] <= self.now():
            callback = heappop(self._timers)[2].callback
            if callback is not None:
                callback()

    # The thread.

    def _change(self) -> None:
        """What is to be waited for has changed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="dbt-disco-watch", daemon=True)
            self._thread.start()
        os.write(self._changed_write, b"c")

    def _watch(self) -> None:
        while not self._closing:
            self._always_ready = []
            self._register()
            first = self._timers[0][0] if self._timers else None
            timeout = None if first is None else max(0, (first - self.now()) / 1e9)
            events = self._selector.select(0 if self._always_ready else timeout)
            ready = [int(key.fd) for key, _ in events if key.fd != self._changed_read]
            if len(ready) < len(events):
                self._drain()
            ready += self._always_ready
            if ready:
                self._handled.clear()
                self._ready = ready
            if ready or not events:
                self._attention()
                self.wake()
            if ready:
                self._handled.wait()
            elif not events:
                self._handled.wait(0.001)  # the timer is being dealt with

    def _drain(self) -> None:
        try:
            while os.read(self._changed_read, 4096):
                pass
        except BlockingIOError:
            pass

    def _register(self) -> None:
        """Bring the selector in accordance with what is watched."""
        known = {int(key.fd) for key in self._selector.get_map().values()} - {self._changed_read}
        wanted = set(self._watched)
        for descriptor in known - wanted:
            self._selector.unregister(descriptor)
        for descriptor in wanted - known:
            try:
                self._selector.register(descriptor, selectors.EVENT_READ)
            except PermissionError:  # a file, which is always ready
                self._always_ready.append(descriptor)
