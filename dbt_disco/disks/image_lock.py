"""Who uses a disk image: any number of readers, or one writer, among all virtual machines on the host.

The kernel keeps the lock (flock(2)) for as long as the descriptor is open, so none is ever left behind by a process
that was killed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from dbt_disco.disks.disk_error import DiskError

_LOCK_TABLE: Final = Path("/proc/locks")
_COMMAND_LENGTH: Final = 100

_holders: Final[dict[int, tuple[tuple[int, int], str]]] = {}
"""This process's locked descriptors → (device and inode of the image, name of the virtual machine)."""


def lock_image(descriptor: int, path: Path, holder: str, *, exclusive: bool) -> None:
    """Lock an open image for the virtual machine called `holder`, until `unlock_image`.

    Raises DiskError naming the holder if the image is in use in a way that does not go together with this one.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if (_identity(descriptor), holder) in _holders.values():
            raise DiskError(f"{path}: given to the same virtual machine more than once") from error
        raise DiskError(f"{path}: in use by {_holder(descriptor)}") from error
    _holders[descriptor] = _identity(descriptor), holder


def unlock_image(descriptor: int) -> None:
    """Give up the lock and close the descriptor."""
    _holders.pop(descriptor, None)
    os.close(descriptor)


def _holder(descriptor: int) -> str:
    """The virtual machines or processes that hold the lock, for a message."""
    identity = _identity(descriptor)
    names = [f"virtual machine {name}" for image, name in _holders.values() if image == identity]
    names += [f"process {pid}{_command(pid)}" for pid in _lock_holders(identity) if pid != os.getpid()]
    return ", ".join(dict.fromkeys(names)) or "another process"


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _lock_holders(image: tuple[int, int]) -> list[int]:
    """The processes that hold a flock on a file, as far as the kernel shows them (proc(5), /proc/locks)."""
    device, inode = image
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    try:
        rows = [line.split() for line in _LOCK_TABLE.read_text().splitlines()]
    except OSError:
        return []
    # "1: FLOCK ADVISORY WRITE 708 00:13:1090 0 EOF"; those who wait have an arrow in the second column
    return [int(row[4]) for row in rows if row[1] == "FLOCK" and row[5] == wanted and int(row[4]) > 0]


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    text = " ".join(os.fsdecode(word) for word in words)
    shortened = text if len(text) <= _COMMAND_LENGTH else text[: _COMMAND_LENGTH - 1] + "…"
    return f" ({shortened.encode(errors='replace').decode()})" if text else ""
