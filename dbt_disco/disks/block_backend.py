"""What a block device needs of the disk behind it; every disk image and sharing mode offers this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

SECTOR_SIZE: Final = 512
"""Bytes in a sector: the unit of every address and count here, whatever block size the guest is told of."""

SERIAL_LENGTH: Final = 20
"""A serial number has at most this many bytes (virtio 1.2, 5.2.6)."""


class BlockBackend(Protocol):
    """A disk of a fixed size, called on the vCPU's thread, one call at a time.

    The device has checked every range before it calls: `sector >= 0`, `count >= 1`, and the end is on the disk.
    What goes wrong on the host is an `OSError`; the guest sees an I/O error of that request and goes on.
    """

    @property
    def sector_count(self) -> int:
        """The size of the disk in sectors; it never changes."""

    @property
    def read_only(self) -> bool:
        """True if the disk takes no writes: the guest is told, and neither `write` nor `discard` is called."""

    @property
    def serial(self) -> bytes:
        """What the guest reads as the disk's serial number: ASCII, at most `SERIAL_LENGTH` bytes, may be empty."""

    def read(self, sector: int, count: int) -> bytes:
        """The `count * SECTOR_SIZE` bytes from `sector` on."""

    def write(self, sector: int, data: bytes) -> None:
        """Store `data`, a whole number of sectors, from `sector` on; the next `read` gives it back.

        It need not survive the end of the monitor before `flush` has returned.
        """

    def flush(self) -> None:
        """Return when everything written and discarded before is on stable storage, if this disk is to be kept."""

    def discard(self, sector: int, count: int) -> None:
        """Forget `count` sectors: they read as zero from now on, and their space on the host may be given back."""


class Delivery(Protocol):
    """Puts sectors into a virtual machine's memory by mapping pages of a cache there, wherever that can be done."""

    def __call__(self, sector: int, buffers: Sequence[tuple[int, int]]) -> None:
        """Fill buffers, (physical address, length in whole sectors), with the sectors from `sector` on.

        Raises as `BlockBackend.read` does, and `NotMemory`, after which earlier buffers may be filled.
        """
