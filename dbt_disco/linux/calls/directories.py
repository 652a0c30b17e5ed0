"""Directories and names: listing, the working directory, making, linking, renaming, removing."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dbt_disco.linux.guest_path import guest_path, own_process_file
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import (
    DIRFD,
    FD,
    PATH,
    POINTER,
    SIZE,
    system_call,
)
from runtime.host_descriptors import own_descriptors

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_AT_FDCWD: Final = -100
_HOST_ENTRY: Final = struct.Struct("<QqHB")
_MAXIMUM_LISTING: Final = 1 << 20


class _Entry(NamedTuple):
    """A directory entry; `offset` is the guest's."""

    inode: int
    offset: int
    kind: int
    name: bytes


def _read_entries(process: LinuxProcess, fd: int, size: int) -> list[_Entry]:
    """The next entries of a directory that are there for the guest; none at its end."""
    while True:
        entries = _read_host_entries(process, fd, size)
        ours = [entry for entry in entries if entry.name.isdigit() and int(entry.name) in own_descriptors]
        if not ours or not _lists_descriptors(fd):
            return entries
        if len(ours) < len(entries):
            return [entry for entry in entries if entry not in ours]


def _lists_descriptors(fd: int) -> bool:
    """Whether it is open on this process's directory of descriptors."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") in {
            f"/proc/{os.getpid()}/{name}" for name in ("fd", "fdinfo")
        }
    except OSError:
        return False


def _read_host_entries(process: LinuxProcess, fd: int, size: int) -> list[_Entry]:
    """As many as the host's form of them fits `size` bytes."""
    buffer = ctypes.create_string_buffer(min(size, _MAXIMUM_LISTING))
    result = host_call("getdents64", fd, buffer, len(buffer))
    if result < 0:
        raise OSError(-result, "getdents64")
    data, position, entries = buffer.raw[:result], 0, []
    while position < result:
        inode, offset, length, kind = _HOST_ENTRY.unpack_from(data, position)
        name = data[position + _HOST_ENTRY.size : position + length].split(b"\0")[0]
        entries.append(_Entry(inode, process.directory_offsets.for_guest(fd, offset), kind, name))
        position += length
    return entries


def _store_entries(process: LinuxProcess, address: int, entries: list[bytes]) -> int:
    data = b"".join(entries)
    process.space.write(address, data)
    return len(data)


@system_call("getdents64", FD, POINTER, SIZE)
def getdents64(process: LinuxProcess, fd: int, address: int, size: int) -> int:
    """struct linux_dirent64: the host's, but for the byte order and the positions."""
    form = struct.Struct(">QqHB" if process.memory.big_endian else "<QqHB")
    packed = []
    for entry in _read_entries(process, fd, size):
        length = (form.size + len(entry.name) + 1 + 7) & ~7
        head = form.pack(entry.inode, entry.offset, length, entry.kind)
        packed.append((head + entry.name).ljust(length, b"\0"))
    return _store_entries(process, address, packed)


@system_call("getdents", FD, POINTER, SIZE)
def getdents(process: LinuxProcess, fd: int, address: int, size: int) -> int:
    """struct linux_dirent: the type comes last, behind the name. Its entries are shorter than the host's."""
    form = struct.Struct(">IIH" if process.memory.big_endian else "<IIH")
    packed = []
    for entry in _read_entries(process, fd, size):
        length = (form.size + len(entry.name) + 2 + 3) & ~3
        head = form.pack(entry.inode & 0xFFFF_FFFF, entry.offset, length)
        packed.append((head + entry.name).ljust(length - 1, b"\0") + bytes((entry.kind,)))
    return _store_entries(process, address, packed)


@system_call("getcwd", POINTER, SIZE)
def getcwd(process: LinuxProcess, address: int, size: int) -> int:
    process.space.prepare_write(address, size)
    return host_call("getcwd", process.space.host_pointer(address), size)


@system_call("chdir", PATH)
def chdir(process: LinuxProcess, path: int) -> int:
    """The working directory is a host directory as long as the host has it (see `Sysroot`)."""
    name = process.memory.string(path, 4097)
    result = host_call("chdir", name)
    if result == -errno.ENOENT:
        return host_call("chdir", process.root.resolve(name, follow=True))
    return result


def _read_link(process: LinuxProcess, directory: int, path_address: int, address: int, size: int) -> int:
    if size >> 31 or size == 0:
        return -errno.EINVAL
    path = guest_path(process, path_address)
    if own_process_file(process, path) == "exe":
        target = process.program.path[:size]
        process.space.write(address, target)
        return len(target)
    process.space.prepare_write(address, size)
    return host_call("readlinkat", directory, path, process.space.host_pointer(address), size)


@system_call("readlink", PATH, POINTER, SIZE)
def readlink(process: LinuxProcess, path: int, address: int, size: int) -> int:
    return _read_link(process, _AT_FDCWD, path, address, size)


@system_call("readlinkat", DIRFD, PATH, POINTER, SIZE)
def readlinkat(process: LinuxProcess, directory: int, path: int, address: int, size: int) -> int:
    return _read_link(process, directory, path, address, size)
