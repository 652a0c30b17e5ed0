"""The disk of our own guest kernel (guests/kernel): a header, a directory of files, and room for writing.

Everything begins on a page, so that whole pages of a file can be mapped; guests/kernel/volume.h is the other side.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PAGE_SIZE: Final = 4096
SECTOR_SIZE: Final = 512

_MAGIC: Final = b"DISCOVOL"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8s7I")
"""Magic, version, pages, directory page, files, CRC-32 of the directory, first page for writing, pages for writing."""
_ENTRY: Final = struct.Struct("<48s4I")
"""Name, first page, size in bytes, CRC-32, reserved."""
_NAME_MAX: Final = 47
_DIRECTORY_PAGE: Final = 1
_FILES_MAX: Final = 1024

_DEMO_SIZES: Final = {
    "kernel.log": 300_001,
    "index": 65_536,
    "archive": 5_000_000,
    "library": 1_572_864,
    "manual": 777_777,
    "images": 4 << 20,
    "empty": 0,
}
"""Bytes in each of the demo's files: whole pages and not, more and less than one request."""
_DEMO_SCRATCH_PAGES: Final = 512


@dataclass(frozen=True)
class DiskFile:
    """A file on the disk, which the kernel only reads."""

    name: str
    contents: bytes

    @property
    def pages(self) -> int:
        """What it takes of the disk."""
        return -(-len(self.contents) // PAGE_SIZE)


@dataclass(frozen=True)
class Volume:
    """What is on a disk."""

    files: tuple[DiskFile, ...]
    scratch_pages: int
    """Pages that machines may write to, behind the files."""

    @property
    def scratch_page(self) -> int:
        """The first of them."""
        return _DIRECTORY_PAGE + self._directory_pages + sum(file.pages for file in self.files)

    @property
    def pages(self) -> int:
        """All there are."""
        return self.scratch_page + self.scratch_pages

    @property
    def first_scratch_sector(self) -> int:
        """Where machines write."""
        return self.scratch_page * PAGE_SIZE // SECTOR_SIZE

    @property
    def _directory_pages(self) -> int:
        return -(-len(self.files) * _ENTRY.size // PAGE_SIZE)

    def image(self) -> bytes:
        """The disk's contents. Raises ValueError if the format has no room for a name or for so many files."""
        directory = self._directory()
        header = _HEADER.pack(
            _MAGIC,
            _VERSION,
            self.pages,
            _DIRECTORY_PAGE,
            len(self.files),
            zlib.crc32(directory),
            self.scratch_page,
            self.scratch_pages,
        )
        parts = (
            header,
            directory,
            *(file.contents for file in self.files),
            bytes(self.scratch_pages * PAGE_SIZE),
        )
        return b"".join(part + bytes(-len(part) % PAGE_SIZE) for part in parts)

    def _directory(self) -> bytes:
        if len(self.files) > _FILES_MAX:
            raise ValueError(f"{len(self.files)} files; the kernel takes {_FILES_MAX}")
        entries = []
        page = _DIRECTORY_PAGE + self._directory_pages
        for file in self.files:
            name = file.name.encode("ascii")
            if not 0 < len(name) <= _NAME_MAX:
                raise ValueError(f"{file.name!r}: a file's name has 1 to {_NAME_MAX} characters")
            entries.append(_ENTRY.pack(name, page, len(file.contents), zlib.crc32(file.contents), 0))
            page += file.pages
        return b"".join(entries)


def generated_file(name: str, size: int) -> DiskFile:
    """A file of `size` bytes that follow from its name, and look random."""
    return DiskFile(name, hashlib.shake_128(name.encode()).digest(size))


def demo_volume() -> Volume:
    """The demo's disk, the same every time: some 14 MB."""
    return generated_volume(_DEMO_SIZES, _DEMO_SCRATCH_PAGES)


def generated_volume(sizes: Mapping[str, int], scratch_pages: int) -> Volume:
    """A disk with files of these names and sizes in bytes."""
    return Volume(tuple(generated_file(name, size) for name, size in sizes.items()), scratch_pages)
