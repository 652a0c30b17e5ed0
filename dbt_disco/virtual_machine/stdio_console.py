"""The serial console on standard input and output: stdout carries the guest's bytes only, unchanged."""

from __future__ import annotations

import os
import sys
from typing import Final

from dbt_disco.devices.character_backend import CharacterReceiver
from dbt_disco.devices.device import Surroundings

_READ_SIZE: Final = 4096
_BUFFERED: Final = 4096


class StdioConsole:
    """Output is collected until the guest idles, reads, ends a line, or much of it is there."""

    def __init__(self) -> None:
        self._receiver: CharacterReceiver | None = None
        self._surroundings: Surroundings | None = None
        self._pending = b""
        self._output = bytearray()
        self._input = sys.stdin.fileno()
        self._ended = False

    def start(self, surroundings: Surroundings) -> None:
        """From now on take input."""
        self._surroundings = surroundings
        surroundings.watch(self._input, self._readable)

    def connect(self, receiver: CharacterReceiver) -> None:
        self._receiver = receiver

    def write(self, data: bytes) -> None:
        self._output += data
        if data.endswith(b"\n") or len(self._output) > _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Write out what has been collected."""
        while self._output:
            written = os.write(1, self._output)
            del self._output[:written]

    def input_wanted(self) -> None:
        self._deliver()

    def _readable(self) -> None:
        assert self._surroundings is not None
        if not self._pending:
            self._pending = os.read(self._input, _READ_SIZE)
            if not self._pending:  # end of input does not stop the virtual machine
                self._ended = True
        self._surroundings.unwatch(self._input)
        self._deliver()

    def _deliver(self) -> None:
        if self._receiver is None or not self._pending:
            return
        count = self._receiver.receive_capacity()
        part, self._pending = self._pending[:count], self._pending[count:]
        if part:
            self._receiver.receive(part)
        if not self._pending and not self._ended and self._surroundings is not None:
            self._surroundings.watch(self._input, self._readable)
