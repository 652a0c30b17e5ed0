"""A serial line in the hands of a Python program: it sees what the guest writes, and types.

A program on another thread waits for output and sends input (`wait_for`, `send`). Or answers are given in advance
(`answer`, `type_at`): then the vCPU's own thread types them, at a place in the guest's output or at a time of the
guest's, and under the instruction clock each run is like the other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from dbt_disco.devices.character_backend import CharacterReceiver
from dbt_disco.virtual_machine.console.line import READ_SIZE, InputQueue
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings

_SHOWN: Final = 500
"""Characters of output in an error message."""


class ConsoleTimeout(TimeoutError):
    """What was waited for has not been written; the message has the last output."""


class ConsoleEnded(EOFError):
    """The virtual machine has ended without writing what was waited for; the message has the last output."""


class ScriptedConsole:
    """A `Line`. Text is UTF-8; what is no such is shown as U+FFFD."""

    def __init__(self) -> None:
        self._output = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._seen = 0
        """Up to where `wait_for` has found what it waited for."""
        self._incoming = InputQueue()
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC)
        self._answers: list[tuple[bytes, bytes]] = []
        self._answered = 0
        """Up to where the output has been answered."""
        self._typed_at: list[tuple[int, bytes]] = []

    # For a program, on any thread.

    @property
    def output(self) -> bytes:
        """Everything the guest has written so far."""
        return bytes(self._output)

    def text(self) -> str:
        """The same as text."""
        return self._output.decode(errors="replace")

    def send(self, text: str) -> None:
        """Type something."""
        data = text.encode()
        while data:
            data = data[os.write(self._write_end, data) :]

    def wait_for(self, text: str, timeout: float) -> str:
        """Wait until the guest writes `text`, behind what was found last; the output from there, `text` included.

        Raises ConsoleTimeout after `timeout` seconds, and ConsoleEnded if there will be no more output.
        """
        wanted, deadline = text.encode(), monotonic() + timeout
        with self._changed:
            start = self._seen
            while (at := self._output.find(wanted, start)) < 0:
                if self._ended:
                    raise ConsoleEnded(self._missing(text, "the virtual machine has ended"))
                remaining = deadline - monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    raise ConsoleTimeout(self._missing(text, f"{timeout:g} seconds have passed"))
            self._seen = at + len(wanted)
            return self._output[start : self._seen].decode(errors="replace")

    def _missing(self, text: str, why: str) -> str:
        return f"{why}, and {text!r} is not in the output, which ends {self.text()[-_SHOWN:]!r}"

    # In advance.

    def answer(self, prompt: str, text: str) -> None:
        """When the guest has written `prompt`, behind the prompt answered before, type `text`."""
        self._answers.append((prompt.encode(), text.encode()))

    def type_at(self, nanoseconds: int, text: str) -> None:
        """Type `text` when so much of the guest's time has passed since the start."""
        self._typed_at.append((nanoseconds, text.encode()))

    # For the virtual machine.

    def start(self, surroundings: RunSurroundings) -> None:
        """From now on take input."""
        surroundings.watch(self._read_end, self._read)
        for time, data in self._typed_at:
            surroundings.call_at(time, self._typist(data))
        self._give_answers()

    def _typist(self, data: bytes) -> Callable[[], None]:
        return lambda: self._incoming.add(data)

    def connect(self, receiver: CharacterReceiver) -> None:
        self._incoming.connect(receiver)

    def write(self, data: bytes) -> None:
        with self._changed:
            self._output += data
            self._changed.notify_all()
        if self._answers:
            self._give_answers()

    def flush(self) -> None:
        """Output is there as soon as it is written."""

    def input_wanted(self) -> None:
        self._incoming.deliver()

    def end(self) -> None:
        """Nothing more will be written: let those who wait know."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        self.end()
        os.close(self._read_end)
        os.close(self._write_end)

    def _read(self) -> None:
        self._incoming.add(os.read(self._read_end, READ_SIZE))

    def _give_answers(self) -> None:
        while self._answers:
            prompt, text = self._answers[0]
            at = self._output.find(prompt, self._answered)
            if at < 0:
                # The next search need not look again at what cannot be a prompt's start any more.
                self._answered = max(self._answered, len(self._output) - len(prompt) + 1)
                return
            self._answered = at + len(prompt)
            del self._answers[0]
            self._incoming.add(text)
