"""The outside of a character device in the hands of a test."""

from __future__ import annotations

from collections import deque

from dbt_disco.devices.character_backend import CharacterReceiver


class CharacterLine:
    """Keeps what the device sends; hands over input as fast as the device takes it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.waiting = deque[int]()
        self._receiver: CharacterReceiver | None = None

    def connect(self, receiver: CharacterReceiver) -> None:
        self._receiver = receiver

    def write(self, data: bytes) -> None:
        self.sent += data

    def send(self, data: bytes) -> None:
        """Characters for the device."""
        self.waiting += data
        self.input_wanted()

    def flush(self) -> None:
        pass

    def input_wanted(self) -> None:
        assert self._receiver is not None
        while count := min(self._receiver.receive_capacity(), len(self.waiting)):
            self._receiver.receive(bytes(self.waiting.popleft() for _ in range(count)))
