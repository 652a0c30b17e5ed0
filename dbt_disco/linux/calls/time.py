"""Clocks, sleeping, and the times of files."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_path import followed_path
from dbt_disco.linux.guest_time import host_time, read_time, store_host_time
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.structures import HOST_TMS, TIMESPEC64, TMS
from dbt_disco.linux.system_call import (
    CLOCK,
    DIRFD,
    PATH,
    POINTER,
    UINT,
    system_call,
    timed_system_call,
)
from runtime.host_signals import NOT_MADE

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_AT_FDCWD: Final = -100
_CLOCK_REALTIME: Final = 0


def _clock(process: LinuxProcess, call: str, clock: int, address: int, wide: bool) -> int:
    host = HostStructure(TIMESPEC64)
    result = host_call(call, clock, host.buffer if address else None)
    if result >= 0:
        store_host_time(process, address, wide, host)
    return result


@timed_system_call("clock_gettime", "clock_gettime64", CLOCK, POINTER)
def clock_gettime(process: LinuxProcess, clock: int, address: int, *, wide: bool) -> int:
    return _clock(process, "clock_gettime", clock, address, wide=wide)


@timed_system_call("clock_getres", "clock_getres_time64", CLOCK, POINTER)
def clock_getres(process: LinuxProcess, clock: int, address: int, *, wide: bool) -> int:
    return _clock(process, "clock_getres", clock, address, wide=wide)


@timed_system_call("clock_settime", "clock_settime64", CLOCK, POINTER)
def clock_settime(process: LinuxProcess, clock: int, address: int, *, wide: bool) -> int:
    host = host_time(process, address, wide=wide)
    return host_call("clock_settime", clock, host and host.buffer)


@system_call("gettimeofday", POINTER, POINTER)
def gettimeofday(process: LinuxProcess, address: int, zone: int) -> int:
    host = HostStructure(TIMESPEC64)
    host_call("gettimeofday", host.buffer, None)
    store_host_time(process, address, False, host)
    if zone:
        process.memory.set_double_word(zone, 0)
    return 0


@system_call("time", POINTER)
def time(process: LinuxProcess, address: int) -> int:
    host = HostStructure(TIMESPEC64)
    host_call("clock_gettime", _CLOCK_REALTIME, host.buffer)
    seconds = int(host.values()["sec"])
    if address:
        process.memory.set_word(address, seconds)
    return seconds


@system_call("times", POINTER)
def times(process: LinuxProcess, address: int) -> int:
    host = HostStructure(HOST_TMS)
    result = host_call("times", host.buffer)
    if address:
        process.memory.set_structure(TMS, address, host.values())
    return result & 0x7FFF_FFFF


def _sleep(process: LinuxProcess, clock: int, flags: int, request: int, remainder: int, wide: bool) -> int:
    host = host_time(process, request, wide)
    if host is None:
        return -errno.EFAULT
    left = HostStructure(TIMESPEC64, host.values())
    result = process.waiting_call("clock_nanosleep", clock, flags, host.buffer, left.buffer)
    if result == NOT_MADE:
        result = -errno.EINTR  # it would have waited
    if result == -errno.EINTR and not flags:
        store_host_time(process, remainder, wide, left)
    return result


@system_call("nanosleep", POINTER, POINTER, restarts=False)
def nanosleep(process: LinuxProcess, request: int, remainder: int) -> int:
    clock_monotonic = 1
    return _sleep(process, clock_monotonic, 0, request, remainder, wide=False)


@timed_system_call("clock_nanosleep", "clock_nanosleep_time64", CLOCK, UINT, POINTER, POINTER, restarts=False)
def clock_nanosleep(
    process: LinuxProcess, clock: int, flags: int, request: int, remainder: int, *, wide: bool
) -> int:
    return _sleep(process, clock, flags, request, remainder, wide=wide)


def _set_file_times(process: LinuxProcess, directory: int, path: int, times: bytes | None, flags: int) -> int:
    name = followed_path(process, path) if path else None
    return host_call("utimensat", directory, name, times, flags)


def _pair(process: LinuxProcess, address: int, wide: bool) -> bytes | None:
    if not address:
        return None
    size = TIMESPEC64.size if wide else TIMESPEC64.size // 2
    packed = b""
    for place in (address, address + size):
        seconds, part = read_time(process, place, wide)
        packed += TIMESPEC64.pack(False, {"sec": seconds, "nsec": part})
    return packed


@timed_system_call("utimensat", "utimensat_time64", DIRFD, PATH, POINTER, UINT)
def utimensat(process: LinuxProcess, directory: int, path: int, times: int, flags: int, *, wide: bool) -> int:
    return _set_file_times(process, directory, path, _pair(process, times, wide=wide), flags)


@system_call("futimesat", DIRFD, PATH, POINTER)
def futimesat(process: LinuxProcess, directory: int, path: int, times: int) -> int:
    """Times in microseconds."""
    packed = None
    if times:
        packed = b""
        for place in (times, times + 8):
            seconds, part = read_time(process, place, wide=False)
            if not 0 <= part < 1_000_000:
                return -errno.EINVAL
            packed += TIMESPEC64.pack(False, {"sec": seconds, "nsec": part * 1000})
    return _set_file_times(process, directory, path, packed, 0)


@system_call("utimes", PATH, POINTER)
def utimes(process: LinuxProcess, path: int, times: int) -> int:
    return int(futimesat(process, _AT_FDCWD, path, times))


@system_call("utime", PATH, POINTER)
def utime(process: LinuxProcess, path: int, times: int) -> int:
    """Times in whole seconds."""
    packed = None
    if times:
        packed = b"".join(
            TIMESPEC64.pack(False, {"sec": seconds, "nsec": 0}) for seconds in process.memory.words(times, 2)
        )
    return _set_file_times(process, _AT_FDCWD, path, packed, 0)
