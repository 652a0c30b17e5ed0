"""The flags of `open` and of open files (asm/fcntl.h)."""

from __future__ import annotations

import os
from typing import Final

from dbt_disco.linux.flag_table import FlagTable

ACCESS_MODE: Final = 3
"""O_RDONLY, O_WRONLY, O_RDWR: the same everywhere."""

_ACCESS_NAMES: Final = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")

OPEN_FLAG_TABLE: Final = FlagTable(
    ("O_SYNC", 0x4010, os.O_SYNC),
    ("O_DSYNC", 0x0010, os.O_DSYNC),
    ("O_TMPFILE", 0x41_0000, os.O_TMPFILE),
    ("O_APPEND", 0x0008, os.O_APPEND),
    ("O_NONBLOCK", 0x0080, os.O_NONBLOCK),
    ("O_CREAT", 0x0100, os.O_CREAT),
    ("O_TRUNC", 0x0200, os.O_TRUNC),
    ("O_EXCL", 0x0400, os.O_EXCL),
    ("O_NOCTTY", 0x0800, os.O_NOCTTY),
    ("O_ASYNC", 0x1000, os.O_ASYNC),
    ("O_LARGEFILE", 0x2000, 0),
    ("O_DIRECT", 0x8000, os.O_DIRECT),
    ("O_DIRECTORY", 0x1_0000, os.O_DIRECTORY),
    ("O_NOFOLLOW", 0x2_0000, os.O_NOFOLLOW),
    ("O_NOATIME", 0x4_0000, os.O_NOATIME),
    ("O_CLOEXEC", 0x8_0000, os.O_CLOEXEC),
    ("O_PATH", 0x20_0000, os.O_PATH),
)


def host_open_flags(flags: int) -> int:
    """The host's flags for the guest's."""
    return flags & ACCESS_MODE | OPEN_FLAG_TABLE.to_host(flags)


def guest_open_flags(flags: int) -> int:
    """The guest's flags for the host's."""
    return flags & ACCESS_MODE | OPEN_FLAG_TABLE.to_guest(flags)


def open_flag_names(flags: int) -> str:
    """The guest's flags as text."""
    rest = OPEN_FLAG_TABLE.names(flags & ~ACCESS_MODE)
    access = _ACCESS_NAMES[flags & ACCESS_MODE]
    return access if rest == "0" else f"{access}|{rest}"
