"""What is between a device that sends and receives characters and the terminal, file or socket behind it."""

from __future__ import annotations

from typing import Protocol


class CharacterReceiver(Protocol):
    """The device, as its backend sees it. Everything happens on the vCPU's thread."""

    def receive_capacity(self) -> int:
        """How many bytes the device takes now; 0 until it calls `CharacterBackend.input_wanted`."""

    def receive(self, data: bytes) -> None:
        """Bytes from outside; what exceeds `receive_capacity` may be lost, as on a real line."""

    def receive_break(self) -> None:
        """The line's break condition from outside."""


class CharacterBackend(Protocol):
    """The outside, as the device sees it."""

    def connect(self, receiver: CharacterReceiver) -> None:
        """Deliver what comes from outside to this device; called once, before anything else."""

    def write(self, data: bytes) -> None:
        """Take all bytes to the outside, in order. Devices mostly send one byte a call: buffer where that matters."""

    def flush(self) -> None:
        """Write out what has been collected; called when the guest idles."""

    def input_wanted(self) -> None:
        """The device's `receive_capacity` may have grown; the backend may call `receive` at once or later."""
