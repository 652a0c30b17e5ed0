"""What is known of a file: the stat family, statfs, access, and changing ownership, mode, times."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.linux.guest_path import followed_path, guest_path
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.structures import HOST_STATFS, STAT, STAT64, STATFS, STATFS64, STATX
from dbt_disco.linux.system_call import (
    DIRFD,
    FD,
    INT,
    MODE,
    PATH,
    POINTER,
    SIZE,
    UINT,
    system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_AT_FDCWD: Final = -100
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EMPTY_PATH: Final = 0x1000
_AT_NO_AUTOMOUNT: Final = 0x800
_STATX_BASIC: Final = 0x7FF


def _device(major: int, minor: int) -> int:
    """A device number in 32 bits (the kernel's new_encode_dev)."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def _status(directory: int, path: bytes, flags: int) -> dict[str, Any] | int:
    """The fields of stat, from the host's statx, whose layout is the same everywhere; or minus an error."""
    host = HostStructure(STATX)
    result = host_call("statx", directory, path, flags | _AT_NO_AUTOMOUNT, _STATX_BASIC, host.buffer)
    if result < 0:
        return result
    values = host.values()
    values["dev"] = _device(values["dev_major"], values["dev_minor"])
    values["rdev"] = _device(values["rdev_major"], values["rdev_minor"])
    return values


def _store(process: LinuxProcess, layout: Layout, address: int, values: dict[str, Any] | int) -> int:
    if isinstance(values, int):
        return values
    if layout is STAT and values["size"] > 0x7FFF_FFFF:
        return -errno.EOVERFLOW
    process.memory.set_structure(layout, address, values)
    return 0


def _declare(suffix: str, layout: Layout) -> None:
    """The three calls that fill in this form of the structure."""

    @system_call(f"stat{suffix}", PATH, POINTER)
    def stat(process: LinuxProcess, path: int, address: int) -> int:
        return _store(process, layout, address, _status(_AT_FDCWD, followed_path(process, path), 0))

    @system_call(f"lstat{suffix}", PATH, POINTER)
    def lstat(process: LinuxProcess, path: int, address: int) -> int:
        values = _status(_AT_FDCWD, guest_path(process, path), _AT_SYMLINK_NOFOLLOW)
        return _store(process, layout, address, values)

    @system_call(f"fstat{suffix}", FD, POINTER)
    def fstat(process: LinuxProcess, fd: int, address: int) -> int:
        return _store(process, layout, address, _status(fd, b"", _AT_EMPTY_PATH))


_declare("", STAT)
_declare("64", STAT64)


def _path_at(process: LinuxProcess, path: int, flags: int) -> bytes:
    return guest_path(process, path) if flags & _AT_SYMLINK_NOFOLLOW else followed_path(process, path)


@system_call("fstatat64", DIRFD, PATH, POINTER, UINT)
def fstatat64(process: LinuxProcess, directory: int, path: int, address: int, flags: int) -> int:
    return _store(process, STAT64, address, _status(directory, _path_at(process, path, flags), flags))


@system_call("statx", DIRFD, PATH, UINT, UINT, POINTER)
def statx(process: LinuxProcess, directory: int, path: int, flags: int, mask: int, address: int) -> int:
    host = HostStructure(STATX)
    result = host_call("statx", directory, _path_at(process, path, flags), flags, mask, host.buffer)
    if result >= 0:
        process.memory.set_structure(STATX, address, host.values())
    return result


def _file_system(process: LinuxProcess, layout: Layout, address: int, call: str, target: bytes | int) -> int:
    host = HostStructure(HOST_STATFS)
    result = host_call(call, target, host.buffer)
    if result >= 0:
        process.memory.set_structure(layout, address, host.values())
    return result


@system_call("statfs", PATH, POINTER)
def statfs(process: LinuxProcess, path: int, address: int) -> int:
    return _file_system(process, STATFS, address, "statfs", followed_path(process, path))


@system_call("fstatfs", FD, POINTER)
def fstatfs(process: LinuxProcess, fd: int, address: int) -> int:
    return _file_system(process, STATFS, address, "fstatfs", fd)


@system_call("statfs64", PATH, SIZE, POINTER)
def statfs64(process: LinuxProcess, path: int, size: int, address: int) -> int:
    if size != STATFS64.size:
        return -errno.EINVAL
    return _file_system(process, STATFS64, address, "statfs", followed_path(process, path))


@system_call("fstatfs64", FD, SIZE, POINTER)
def fstatfs64(process: LinuxProcess, fd: int, size: int, address: int) -> int:
    if size != STATFS64.size:
        return -errno.EINVAL
    return _file_system(process, STATFS64, address, "fstatfs", fd)


@system_call("faccessat2", DIRFD, PATH, MODE, UINT)
def faccessat2(process: LinuxProcess, directory: int, path: int, mode: int, flags: int) -> int:
    return host_call("faccessat2", directory, _path_at(process, path, flags), mode, flags)


@system_call("fchownat", DIRFD, PATH, INT, INT, UINT)
def fchownat(process: LinuxProcess, directory: int, path: int, owner: int, group: int, flags: int) -> int:
    return host_call("fchownat", directory, _path_at(process, path, flags), owner, group, flags)
