"""Raw disk images: a file (or block device) whose bytes are the disk's."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.image_lock import lock_image, unlock_image

if TYPE_CHECKING:
    from runtime.system.physical_memory import PhysicalMemory

_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2
"""Flags of fallocate(2), linux/falloc.h."""

_CANNOT_PUNCH: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV})
_ZEROS: Final = bytes(1 << 20)


class RawImage:
    """An open image: a `BlockBackend`, and the base of those that keep changes elsewhere.

    `writable` is the mode `exclusive`: the image belongs to one virtual machine alone, which changes it in place.
    """

    def __init__(self, path: Path, holder: str, serial: bytes = b"", *, writable: bool = False) -> None:
        """Raises DiskError if there is no such image, if it is not a whole number of sectors, or in use."""
        self.path = path
        self.serial = serial
        self.read_only = not writable
        try:
            descriptor = os.open(
                path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK
            )  # as for pipes
        except OSError as error:
            raise DiskError(f"{path}: {error.strerror}") from error
        try:
            self.sector_count: Final = _sector_count(path, descriptor)
            lock_image(descriptor, path, holder, exclusive=writable)
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor: Final = descriptor
        """Of the open file; it stays ours."""

    def read(self, sector: int, count: int) -> bytes:
        """See `BlockBackend`."""
        wanted = count * SECTOR_SIZE
        data = os.pread(self.descriptor, wanted, sector * SECTOR_SIZE)
        while len(data) < wanted:
            more = os.pread(self.descriptor, wanted - len(data), sector * SECTOR_SIZE + len(data))
            if not more:
                raise OSError(errno.EIO, "the image has become shorter", str(self.path))
            data += more
        return data

    def delivery(self, memory: PhysicalMemory) -> None:
        """See `Disk`: there is none."""

    def write(self, sector: int, data: bytes) -> None:
        """See `BlockBackend`."""
        done = 0
        view = memoryview(data)
        while done < len(data):
            done += os.pwrite(self.descriptor, view[done:], sector * SECTOR_SIZE + done)

    def flush(self) -> None:
        """See `BlockBackend`."""
        os.fdatasync(self.descriptor)

    def discard(self, sector: int, count: int) -> None:
        """See `BlockBackend`."""
        start, length = sector * SECTOR_SIZE, count * SECTOR_SIZE
        if not _punch_hole(self.descriptor, start, length):
            for offset in range(0, length, len(_ZEROS)):
                self.write((start + offset) // SECTOR_SIZE, _ZEROS[: min(len(_ZEROS), length - offset)])

    def close(self) -> None:
        """Let others use the image; nothing else may be called afterwards."""
        unlock_image(self.descriptor)


def _sector_count(path: Path, descriptor: int) -> int:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise DiskError(f"{path}: neither a file nor a block device")
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        raise DiskError(
            f"{path}: the image is empty; `truncate --size=64M` makes it a blank disk of that size"
        )
    if size % SECTOR_SIZE:
        raise DiskError(
            f"{path}: the image has {size} bytes, not a multiple of {SECTOR_SIZE}; "
            f"`truncate --size=%{SECTOR_SIZE}` or a right copy mends it"
        )
    return size // SECTOR_SIZE


def _punch_hole(descriptor: int, start: int, length: int) -> bool:
    """Free a range of a file, which then reads as zero; False where the file system cannot do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = libc.fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length) == 0:
        return True
    error = ctypes.get_errno()
    if error in _CANNOT_PUNCH:
        return False
    raise OSError(error, os.strerror(error))
