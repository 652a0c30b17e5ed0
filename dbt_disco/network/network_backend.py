"""What a network device needs of the network behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class NetworkBackend(Protocol):
    """A network of Ethernet frames, from destination address to the end of the data, without checksum.

    Everything happens on the vCPU's thread. The device takes frames when it has room, so that whoever has more of
    them than the guest takes decides what to drop or whom to hold back.
    """

    def connect(self, arrived: Callable[[], None]) -> None:
        """Have `arrived` called whenever there is a frame for the device; called once, before anything else."""

    def send(self, frame: bytes) -> None:
        """Take a frame from the guest; it may be malformed in any way."""

    def receive(self) -> bytes | None:
        """The next frame for the guest; None if there is none."""
