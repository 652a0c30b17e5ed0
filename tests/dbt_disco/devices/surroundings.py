"""What devices need from a virtual machine, in the hands of a test."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from dbt_disco.devices.device import Timer


class ManualSurroundings:
    """Time passes when the test says so; descriptors are ready when it says so."""

    def __init__(self, wall_clock_at_start: int = 0) -> None:
        self.time = 0
        self._wall_clock_at_start = wall_clock_at_start
        self._timers: list[tuple[int, int, ManualTimer]] = []
        self._numbers = itertools.count()
        self.watched: dict[int, Callable[[], None]] = {}
        self._random = random.Random(1)

    def now(self) -> int:
        return self.time

    def wall_clock(self) -> int:
        return self._wall_clock_at_start + self.time

    def call_at(self, time: int, callback: Callable[[], None]) -> Timer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (time, next(self._numbers), timer))
        return timer

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.watched[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        del self.watched[descriptor]

    def random(self, length: int) -> bytes:
        return self._random.randbytes(length)

    def advance(self, nanoseconds: int) -> None:
        """Let time pass, and call the timers that are due meanwhile, each at its time."""
        end = self.time + nanoseconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.time = max(self.time, due)
            if not timer.cancelled:
                timer.callback()
        self.time = end

    def timers(self) -> list[int]:
        """When the timers that are still wanted are due."""
        return sorted(due for due, _, timer in self._timers if not timer.cancelled)


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class RecordedLine:
    """An interrupt wire that remembers its level and how often it rose."""

    def __init__(self) -> None:
        self.level = False
        self.rises = 0

    def set(self, level: bool) -> None:
        self.rises += level and not self.level
        self.level = level
