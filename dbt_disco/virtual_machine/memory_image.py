"""What is in a virtual machine's memory when it starts, described rather than copied.

A piece whose contents are in a file can be mapped from there, so that virtual machines booting the same file share
its pages until they store to them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dbt_disco.command_error import CommandError
from runtime.addresses import PhysicalAddress


class BootError(CommandError):
    """A virtual machine cannot be started from what was given: one line for the user."""


@dataclass(frozen=True)
class FileRange:
    """Some bytes of a file."""

    path: Path
    offset: int
    length: int

    def read(self) -> bytes:
        """The bytes. Raises BootError if the file has become shorter, or OSError."""
        with open(self.path, "rb") as file:
            data = os.pread(file.fileno(), self.length, self.offset)
        if len(data) < self.length:
            raise BootError(f"{self.path}: changed while it was read")
        return data


@dataclass(frozen=True)
class Piece:
    """Memory from `address`: `contents`, and zeros up to `size` bytes."""

    address: PhysicalAddress
    size: int
    contents: FileRange | bytes

    @property
    def end(self) -> int:
        return self.address + self.size

    def bytes(self) -> bytes:
        """All `size` bytes."""
        data = self.contents if isinstance(self.contents, bytes) else self.contents.read()
        return data.ljust(self.size, b"\0")
