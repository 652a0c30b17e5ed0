"""Making, duplicating, controlling and closing file descriptors."""

from __future__ import annotations

import ctypes
import errno
import fcntl as host_fcntl
import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_path import guest_path, own_process_file
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.open_flags import guest_open_flags, host_open_flags
from dbt_disco.linux.own_process_files import open_guests_file
from dbt_disco.linux.signal_numbers import guest_signal, host_signal
from dbt_disco.linux.system_call import (
    DIRFD,
    FD,
    INT,
    MODE,
    OPEN_FLAGS,
    PATH,
    POINTER,
    UINT,
    system_call,
)
from runtime.host_descriptors import own_descriptors

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_AT_FDCWD: Final = -100
_O_CLOEXEC: Final = 0x8_0000
_O_NOFOLLOW: Final = 0x2_0000
_O_NONBLOCK: Final = 0x80


def _open(process: LinuxProcess, directory: int, path_address: int, flags: int, mode: int) -> int:
    path = guest_path(process, path_address, follow=not flags & _O_NOFOLLOW)
    own = own_process_file(process, path)
    if own == "exe":
        path = process.program.path
    elif own == "mem":
        return -errno.EACCES  # it would be the runtime's memory, at the runtime's addresses
    elif path.startswith(b"/proc/"):
        fd = open_guests_file(process, path, bool(flags & _O_CLOEXEC))
        if fd is not None:
            return fd
    return process.waiting_call("openat", directory, path, host_open_flags(flags), mode)


@system_call("open", PATH, OPEN_FLAGS, MODE)
def open_(process: LinuxProcess, path: int, flags: int, mode: int) -> int:
    return _open(process, _AT_FDCWD, path, flags, mode)


@system_call("creat", PATH, MODE)
def creat(process: LinuxProcess, path: int, mode: int) -> int:
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    return process.waiting_call("openat", _AT_FDCWD, guest_path(process, path, follow=True), flags, mode)


@system_call("openat", DIRFD, PATH, OPEN_FLAGS, MODE)
def openat(process: LinuxProcess, directory: int, path: int, flags: int, mode: int) -> int:
    return _open(process, directory, path, flags, mode)


@system_call("close", FD)
def close(process: LinuxProcess, fd: int) -> int:
    process.directory_offsets.forget(fd)
    return host_call("close", fd)


@system_call("close_range", UINT, UINT, UINT)
def close_range(process: LinuxProcess, first: int, last: int, flags: int) -> int:
    if first > last:
        return -errno.EINVAL
    ours = sorted(fd for fd in own_descriptors if first <= fd <= last)
    for own in [*ours, last + 1]:  # the stretches between the runtime's own descriptors
        if own > first:
            result = host_call("close_range", first, own - 1, flags)
            if result < 0:
                return result
        first = own + 1
    return 0


@system_call("dup2", FD, FD)
def dup2(process: LinuxProcess, fd: int, target: int) -> int:
    if fd == target:
        result = host_call("fcntl", fd, host_fcntl.F_GETFD)
        return result if result < 0 else target
    process.directory_offsets.forget(target)
    return host_call("dup3", fd, target, 0)


@system_call("dup3", FD, FD, OPEN_FLAGS)
def dup3(process: LinuxProcess, fd: int, target: int, flags: int) -> int:
    if flags & ~_O_CLOEXEC:
        return -errno.EINVAL
    process.directory_offsets.forget(target)
    return host_call("dup3", fd, target, host_open_flags(flags))


def _make_pipe(flags: int) -> tuple[int, int, int]:
    ends = (ctypes.c_int * 2)()
    result = host_call("pipe2", ends, flags)
    return result, ends[0], ends[1]


@system_call("pipe")
def pipe(process: LinuxProcess) -> int:
    """The two descriptors come back in v0 and v1."""
    result, reading, writing = _make_pipe(0)
    if result < 0:
        return result
    process.vcpu.state.gpr[3] = writing
    return reading


@system_call("pipe2", POINTER, OPEN_FLAGS)
def pipe2(process: LinuxProcess, address: int, flags: int) -> int:
    result, reading, writing = _make_pipe(host_open_flags(flags))
    if result < 0:
        return result
    process.memory.set_word(address, reading)
    process.memory.set_word(address + 4, writing)
    return 0


@system_call("eventfd", UINT)
def eventfd(process: LinuxProcess, initial: int) -> int:
    process.reads_kernel_records = True
    return host_call("eventfd2", initial, 0)


@system_call("eventfd2", UINT, OPEN_FLAGS)
def eventfd2(process: LinuxProcess, initial: int, flags: int) -> int:
    semaphore = 1
    if flags & ~(semaphore | _O_CLOEXEC | _O_NONBLOCK):
        return -errno.EINVAL
    process.reads_kernel_records = True
    return host_call("eventfd2", initial, host_open_flags(flags & ~semaphore) | flags & semaphore)


@system_call("memfd_create", PATH, UINT)
def memfd_create(process: LinuxProcess, name: int, flags: int) -> int:
    return host_call("memfd_create", process.memory.string(name, 256), flags)


@system_call("flock", FD, INT)
def flock(process: LinuxProcess, fd: int, operation: int) -> int:
    return process.waiting_call("flock", fd, operation)


# struct flock: the guest's two forms (asm/fcntl.h, asm-generic/fcntl.h) and the host's.
_FLOCK: Final = Layout("h type, h whence, i start, i len, i _sysid, i pid, 4i _pad")
_FLOCK64: Final = Layout("h type, h whence, q start, q len, i pid")
_HOST_FLOCK: Final = Layout("h type, h whence, q start, q len, i pid")

# Commands on locks: guest number -> (host number, guest layout, whether the lock is written back)
_LOCK_COMMANDS: Final = {
    14: (host_fcntl.F_GETLK, _FLOCK, True),
    6: (host_fcntl.F_SETLK, _FLOCK, False),
    7: (host_fcntl.F_SETLKW, _FLOCK, False),
    33: (host_fcntl.F_GETLK, _FLOCK64, True),
    34: (host_fcntl.F_SETLK, _FLOCK64, False),
    35: (host_fcntl.F_SETLKW, _FLOCK64, False),
    36: (36, _FLOCK64, True),  # F_OFD_GETLK and following
    37: (37, _FLOCK64, False),
    38: (38, _FLOCK64, False),
}
_F_GETFL: Final = 3
_F_SETFL: Final = 4
_F_SETSIG: Final = 10
_F_GETSIG: Final = 11
# Commands with a plain integer argument: guest number -> host number
_PLAIN_COMMANDS: Final = {
    0: host_fcntl.F_DUPFD,
    1: host_fcntl.F_GETFD,
    2: host_fcntl.F_SETFD,
    23: host_fcntl.F_GETOWN,
    24: host_fcntl.F_SETOWN,
    1024: host_fcntl.F_SETLEASE,
    1025: host_fcntl.F_GETLEASE,
    1026: host_fcntl.F_NOTIFY,
    1030: host_fcntl.F_DUPFD_CLOEXEC,
    1031: host_fcntl.F_SETPIPE_SZ,
    1032: host_fcntl.F_GETPIPE_SZ,
    1033: host_fcntl.F_ADD_SEALS,
    1034: host_fcntl.F_GET_SEALS,
}


@system_call("fcntl", FD, INT, UINT)
@system_call("fcntl64", FD, INT, UINT)
def fcntl(process: LinuxProcess, fd: int, command: int, argument: int) -> int:
    if command in _LOCK_COMMANDS:
        return _lock(process, fd, command, argument)
    if command in _PLAIN_COMMANDS:
        signed = argument - (1 << 32) if argument >> 31 else argument
        return host_call("fcntl", fd, _PLAIN_COMMANDS[command], signed)
    if command == _F_GETFL:
        flags = host_call("fcntl", fd, host_fcntl.F_GETFL)
        return flags if flags < 0 else guest_open_flags(flags)
    if command == _F_SETFL:
        return host_call("fcntl", fd, host_fcntl.F_SETFL, host_open_flags(argument))
    if command == _F_SETSIG:
        return host_call("fcntl", fd, _F_SETSIG, (host_signal(argument) or 0) if argument else 0)
    if command == _F_GETSIG:
        number = host_call("fcntl", fd, _F_GETSIG)
        return (guest_signal(number) or 0) if number > 0 else number
    return -errno.EINVAL


def _lock(process: LinuxProcess, fd: int, command: int, address: int) -> int:
    host_command, layout, written_back = _LOCK_COMMANDS[command]
    lock = HostStructure(_HOST_FLOCK, process.memory.structure(layout, address))
    result = process.waiting_call("fcntl", fd, host_command, lock.buffer)
    if result >= 0 and written_back:
        process.memory.set_structure(layout, address, lock.values())
    return result
