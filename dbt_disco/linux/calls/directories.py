"""Directories and names: listing, the working directory, making, linking, renaming, removing."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_path import guest_path, own_process_file
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import (
    DIRFD,
    FD,
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
_AT_REMOVEDIR: Final = 0x200
_HOST_ENTRY: Final = struct.Struct("<QqHB")
_MAXIMUM_LISTING: Final = 1 << 20


@system_call("getdents64", FD, POINTER, SIZE)
def getdents64(process: LinuxProcess, fd: int, address: int, size: int) -> int:
    """The host's entries have the guest's layout, but for the byte order and the positions."""
    buffer = ctypes.create_string_buffer(min(size, _MAXIMUM_LISTING))
    result = host_call("getdents64", fd, buffer, len(buffer))
    if result <= 0:
        return result
    data = bytearray(buffer.raw[:result])
    form = struct.Struct(">QqHB" if process.memory.big_endian else "<QqHB")
    position = 0
    while position < result:
        inode, offset, length, kind = _HOST_ENTRY.unpack_from(data, position)
        offset = process.directory_offsets.for_guest(fd, offset)
        form.pack_into(data, position, inode, offset, length, kind)
        position += length
    process.space.write(address, data)
    return result


@system_call("getdents", FD, POINTER, SIZE)
def getdents(process: LinuxProcess, fd: int, address: int, size: int) -> int:
    """struct linux_dirent: the type comes last, behind the name. Its entries are shorter than the host's."""
    buffer = ctypes.create_string_buffer(min(size, _MAXIMUM_LISTING))
    result = host_call("getdents64", fd, buffer, len(buffer))
    if result <= 0:
        return result
    host = buffer.raw[:result]
    entries = bytearray()
    position = 0
    form = struct.Struct(">IIH" if process.memory.big_endian else "<IIH")
    while position < result:
        inode, offset, length, kind = _HOST_ENTRY.unpack_from(host, position)
        name = host[position + _HOST_ENTRY.size : position + length].split(b"\0")[0]
        guest_length = (form.size + len(name) + 2 + 3) & ~3
        offset = process.directory_offsets.for_guest(fd, offset)
        head = form.pack(inode & 0xFFFF_FFFF, offset, guest_length)
        entries += (head + name).ljust(guest_length - 1, b"\0") + bytes((kind,))
        position += length
    process.space.write(address, entries)
    return len(entries)


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


@system_call("fchdir", FD)
def fchdir(process: LinuxProcess, fd: int) -> int:
    return host_call("fchdir", fd)


@system_call("chroot", PATH)
def chroot(process: LinuxProcess, path: int) -> int:
    return host_call("chroot", guest_path(process, path))


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


@system_call("mkdir", PATH, MODE)
def mkdir(process: LinuxProcess, path: int, mode: int) -> int:
    return host_call("mkdirat", _AT_FDCWD, guest_path(process, path), mode)


@system_call("mkdirat", DIRFD, PATH, MODE)
def mkdirat(process: LinuxProcess, directory: int, path: int, mode: int) -> int:
    return host_call("mkdirat", directory, guest_path(process, path), mode)


@system_call("mknod", PATH, MODE, UINT)
def mknod(process: LinuxProcess, path: int, mode: int, device: int) -> int:
    return host_call("mknodat", _AT_FDCWD, guest_path(process, path), mode, device)


@system_call("mknodat", DIRFD, PATH, MODE, UINT)
def mknodat(process: LinuxProcess, directory: int, path: int, mode: int, device: int) -> int:
    return host_call("mknodat", directory, guest_path(process, path), mode, device)


@system_call("rmdir", PATH)
def rmdir(process: LinuxProcess, path: int) -> int:
    return host_call("unlinkat", _AT_FDCWD, guest_path(process, path), _AT_REMOVEDIR)


@system_call("unlink", PATH)
def unlink(process: LinuxProcess, path: int) -> int:
    return host_call("unlinkat", _AT_FDCWD, guest_path(process, path), 0)


@system_call("unlinkat", DIRFD, PATH, UINT)
def unlinkat(process: LinuxProcess, directory: int, path: int, flags: int) -> int:
    return host_call("unlinkat", directory, guest_path(process, path), flags)


@system_call("rename", PATH, PATH)
def rename(process: LinuxProcess, old: int, new: int) -> int:
    return renameat2(process, _AT_FDCWD, old, _AT_FDCWD, new, 0)


@system_call("renameat", DIRFD, PATH, DIRFD, PATH)
def renameat(process: LinuxProcess, old_directory: int, old: int, new_directory: int, new: int) -> int:
    return renameat2(process, old_directory, old, new_directory, new, 0)


@system_call("renameat2", DIRFD, PATH, DIRFD, PATH, UINT)
def renameat2(
    process: LinuxProcess, old_directory: int, old: int, new_directory: int, new: int, flags: int
) -> int:
    old_path, new_path = guest_path(process, old), guest_path(process, new)
    return host_call("renameat2", old_directory, old_path, new_directory, new_path, flags)


@system_call("link", PATH, PATH)
def link(process: LinuxProcess, old: int, new: int) -> int:
    return linkat(process, _AT_FDCWD, old, _AT_FDCWD, new, 0)


@system_call("linkat", DIRFD, PATH, DIRFD, PATH, UINT)
def linkat(
    process: LinuxProcess, old_directory: int, old: int, new_directory: int, new: int, flags: int
) -> int:
    old_path, new_path = guest_path(process, old), guest_path(process, new)
    return host_call("linkat", old_directory, old_path, new_directory, new_path, flags)


@system_call("symlink", PATH, PATH)
def symlink(process: LinuxProcess, target: int, path: int) -> int:
    return symlinkat(process, target, _AT_FDCWD, path)


@system_call("symlinkat", PATH, DIRFD, PATH)
def symlinkat(process: LinuxProcess, target: int, directory: int, path: int) -> int:
    return host_call("symlinkat", process.memory.string(target, 4097), directory, guest_path(process, path))
