"""Records that the host kernel makes up when certain descriptors are read: counters and signals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.layout import Layout
from dbt_disco.linux.signal_numbers import guest_code, guest_signal

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_COUNTER_SIZE: Final = 8
_COUNTERS: Final = frozenset({"anon_inode:[eventfd]", "anon_inode:[timerfd]"})
_SIGNALS: Final = "anon_inode:[signalfd]"
_SIGNAL_RECORD: Final = Layout(
    "I signo, i errno, i code, I pid, I uid, i fd, I tid, I band, I overrun, I trapno, i status, i int, "
    "Q ptr, Q utime, Q stime, Q addr, 48B _pad"
)
"""struct signalfd_siginfo."""


def _kind(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def counter_to_write(process: LinuxProcess, fd: int, address: int, size: int) -> bytes | None:
    """The host's form of a counter the guest writes; None when what it writes needs no translation."""
    if not process.memory.big_endian or size != _COUNTER_SIZE or _kind(fd) not in _COUNTERS:
        return None
    return process.space.read(address, size)[::-1]


def translate_read(process: LinuxProcess, fd: int, address: int, length: int) -> None:
    """Turn what has just been read into the guest's form, if it is such records."""
    if length == _COUNTER_SIZE and process.memory.big_endian and _kind(fd) in _COUNTERS:
        process.space.write(address, process.space.read(address, length)[::-1])
    elif length > 0 and length % _SIGNAL_RECORD.size == 0 and _kind(fd) == _SIGNALS:
        for place in range(address, address + length, _SIGNAL_RECORD.size):
            values = _SIGNAL_RECORD.unpack(False, process.space.read(place, _SIGNAL_RECORD.size))
            values["signo"] = guest_signal(values["signo"]) or 0
            values["code"] = guest_code(values["code"])
            process.memory.set_structure(_SIGNAL_RECORD, place, values)
