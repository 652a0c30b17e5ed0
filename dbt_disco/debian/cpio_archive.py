"""Writing cpio archives in the "newc" format, the kernel's initramfs (Documentation/driver-api/early-userspace).

Whoever writes one, everything in it belongs to root, and there may be device nodes; no time stamps, so that the
same contents give the same archive.
"""

from __future__ import annotations

import stat
from typing import BinaryIO, Final

_MAGIC: Final = "070701"
_TRAILER: Final = "TRAILER!!!"
_SIZE_LIMIT: Final = 1 << 32


class CpioWriter:
    """Appends entries to a binary stream; `close` ends the archive (and leaves the stream open)."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._position = 0
        self._inode = 0
        self._directories: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory, and those above it that are not there yet; `path` is relative to the root."""
        if path in self._directories:
            return
        self._add_parents(path)
        self._directories.add(path)
        self._entry(path, stat.S_IFDIR | mode, links=2)

    def file(self, path: str, contents: bytes, mode: int = 0o644) -> None:
        """Add a regular file. ValueError if the format cannot hold its size."""
        if len(contents) >= _SIZE_LIMIT:
            raise ValueError(f"{path}: too large for a cpio archive")
        self._add_parents(path)
        self._entry(path, stat.S_IFREG | mode, contents)

    def symbolic_link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add_parents(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int, mode: int) -> None:
        """Add a device node."""
        self._add_parents(path)
        self._entry(path, stat.S_IFCHR | mode, device=(major, minor))

    def close(self) -> None:
        """Write the end mark, padded to the 512 bytes that tools expect."""
        self._inode = -1
        self._entry(_TRAILER, 0)
        self._pad(512)

    def _add_parents(self, path: str) -> None:
        parent, slash, _ = path.rpartition("/")
        if slash:
            self.directory(parent)

    def _entry(
        self, path: str, mode: int, contents: bytes = b"", *, links: int = 1, device: tuple[int, int] = (0, 0)
    ) -> None:
        self._inode += 1
        name = path.encode() + b"\0"
        # inode, mode, uid, gid, links, time, size, device of the file, device of the node, name size, checksum
        fields = (self._inode, mode, 0, 0, links, 0, len(contents), 0, 0, *device, len(name), 0)
        self._write(_MAGIC.encode() + b"".join(b"%08X" % field for field in fields) + name)
        self._pad(4)
        self._write(contents)
        self._pad(4)

    def _write(self, data: bytes) -> None:
        self._output.write(data)
        self._position += len(data)

    def _pad(self, alignment: int) -> None:
        self._write(bytes(-self._position % alignment))
