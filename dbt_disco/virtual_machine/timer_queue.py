"""What is to be called back when; for one thread."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

_SMALL: Final = 64
"""Up to this length the queue may keep any number of cancelled timers."""


class QueuedTimer:
    """A promised callback."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback
        """None: cancelled, or called already."""

    def cancel(self) -> None:
        """Nothing happens if it has been called already."""
        self.callback = None


class TimerQueue:
    """Timers by time, in whatever unit the times are."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, QueuedTimer]] = []
        self._made = 0
        self._cleared_at = _SMALL

    def add(self, time: int, callback: Callable[[], None]) -> QueuedTimer:
        """Call back at `time`; of those with equal times the one added first goes first."""
        if len(self._heap) >= self._cleared_at:
            self._drop_cancelled()
        timer = QueuedTimer(callback)
        self._made += 1
        heappush(self._heap, (time, self._made, timer))
        return timer

    def first(self) -> int | None:
        """When the next timer is due; None if there is none."""
        while self._heap and self._heap[0][2].callback is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: int) -> None:
        """Call back what is due by `now`; what callbacks add waits for the next time, even if it is due."""
        due = []
        while (first := self.first()) is not None and first <= now:
            due.append(heappop(self._heap)[2])
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def __len__(self) -> int:
        """Of the queue, with cancelled timers that are still in it."""
        return len(self._heap)

    def _drop_cancelled(self) -> None:
        """A guest that only starts and cancels timers must not fill the host's memory."""
        self._heap = [entry for entry in self._heap if entry[2].callback is not None]
        heapify(self._heap)
        self._cleared_at = max(_SMALL, 2 * len(self._heap))
