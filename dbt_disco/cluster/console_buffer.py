"""A virtual machine's serial line in the cluster: what it has written lately is kept, and anybody may type."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import time
from typing import Final

from dbt_disco.devices.character_backend import CharacterReceiver
from dbt_disco.virtual_machine.console.line import READ_SIZE, InputQueue
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings

CAPACITY: Final = 1 << 18
"""Bytes of output that are kept."""
_LINES: Final = 1 << 13
"""Lines whose times are kept."""


class ConsoleBuffer:
    """A `Line` that outlives virtual machines: one that is started again goes on in the same buffer."""

    def __init__(self, changed: Callable[[], None], capacity: int = CAPACITY) -> None:
        """`changed` is called when there is output, on the vCPU's thread."""
        self._changed = changed
        self._capacity: Final = capacity
        self._lock: Final = Lock()
        self._kept = bytearray()
        self._end = 0
        """How many bytes there have been in all."""
        self._line_ends: deque[tuple[int, float]] = deque(maxlen=_LINES)
        """(Position behind a line's end, when it came)."""
        self._incoming = InputQueue()
        self._surroundings: RunSurroundings | None = None
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    # On any thread.

    def read(self, position: int) -> tuple[bytes, int]:
        """Output from a position on, or from the oldest that is kept; and the position behind it."""
        with self._lock:
            start = max(position - (self._end - len(self._kept)), 0)
            return bytes(self._kept[start:]), self._end

    def lines(self) -> list[tuple[float | None, bytes]]:
        """Lines that are kept, each with the time of its end; None for what has not ended."""
        with self._lock:
            kept, ends, start = bytes(self._kept), list(self._line_ends), self._end - len(self._kept)
        lines: list[tuple[float | None, bytes]] = []
        at = 0
        for end, when in ends:
            if end > start:
                lines.append((when, kept[at : end - start]))
                at = end - start
        return [*lines, (None, kept[at:])] if at < len(kept) else lines

    def type(self, data: bytes) -> int:
        """Send input to the guest; how many bytes of it there was room for."""
        try:
            return os.write(self._write_end, data)
        except BlockingIOError:
            return 0

    # For the virtual machine, on its thread.

    def connect(self, receiver: CharacterReceiver) -> None:
        self._incoming = InputQueue()
        self._incoming.connect(receiver)

    def start(self, surroundings: RunSurroundings) -> None:
        self._surroundings = surroundings
        surroundings.watch(self._read_end, self._read)

    def write(self, data: bytes) -> None:
        with self._lock:
            self._kept += data
            self._end += len(data)
            if len(self._kept) > 2 * self._capacity:
                del self._kept[: -self._capacity]
            if data.endswith(b"\n"):
                self._line_ends.append((self._end, time()))
        self._changed()

    def flush(self) -> None:
        """Output is there as soon as it is written."""

    def send_break(self) -> None:
        """The line's break condition."""
        self._incoming.add_break()

    def input_wanted(self) -> None:
        self._incoming.deliver()

    def stop(self) -> None:
        """The virtual machine goes; what has been typed and not taken is lost."""
        if self._surroundings is not None:
            self._surroundings.unwatch(self._read_end)
            self._surroundings = None
        self._read_waiting()

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)

    def _read(self) -> None:
        self._incoming.add(self._read_waiting())

    def _read_waiting(self) -> bytes:
        try:
            return os.read(self._read_end, READ_SIZE)
        except BlockingIOError:
            return b""
