"""Positions in directories, kept within 31 bits for programs whose `off_t` has 32.

Some host file systems hand out 64-bit positions (ext4: a hash and its continuation in the lower half), with
which a C library fails (EOVERFLOW) that was not built for large files. A 32-bit kernel would use the hash
alone; so do we, and put it back where the guest seeks to such a position.
"""

from __future__ import annotations

from typing import Final

_HALF: Final = 32
_LAST: Final = 0x7FFF_FFFF


class DirectoryOffsets:
    """Knows which descriptors are directories with wide positions."""

    def __init__(self) -> None:
        self._wide: set[int] = set()

    def for_guest(self, fd: int, position: int) -> int:
        """The guest's value for a position the host gave for `fd`."""
        if position <= _LAST:
            return position
        self._wide.add(fd)
        return position >> _HALF & _LAST

    def after_seek(self, fd: int, position: int) -> int:
        """The guest's value for where a seek has left `fd`; other files' positions stay as they are."""
        return self.for_guest(fd, position) if fd in self._wide else position

    def for_host(self, fd: int, position: int) -> int:
        """The host's position for the value at which the guest wants `fd`."""
        return position << _HALF if fd in self._wide and 0 <= position <= _LAST else position

    def forget(self, fd: int) -> None:
        """The descriptor has been closed, or is about to become another file's."""
        self._wide.discard(fd)
