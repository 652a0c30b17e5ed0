"""Reading and writing open files."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.kernel_records import counter_to_write, translate_read
from dbt_disco.linux.system_call import (
    BUFFER,
    FD,
    INT,
    LONG_LONG,
    POINTER,
    SIZE,
    UINT,
    system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_MAXIMUM_VECTORS: Final = 1024  # UIO_MAXIOV
_WINDOW: Final = 1 << 32


@system_call("read", FD, POINTER, SIZE)
def read(process: LinuxProcess, fd: int, buffer: int, size: int) -> int:
    space = process.space
    space.prepare_write(buffer, size)
    result = process.waiting_call("read", fd, space.base + buffer, min(size, _WINDOW - buffer))
    if process.reads_kernel_records:
        translate_read(process, fd, buffer, result)
    return result


@system_call("write", FD, BUFFER, SIZE)
def write(process: LinuxProcess, fd: int, buffer: int, size: int) -> int:
    if process.reads_kernel_records and (counter := counter_to_write(process, fd, buffer, size)) is not None:
        return process.waiting_call("write", fd, counter, size)
    return process.waiting_call("write", fd, process.space.base + buffer, min(size, _WINDOW - buffer))


@system_call("pread64", FD, POINTER, SIZE, LONG_LONG)
def pread64(process: LinuxProcess, fd: int, buffer: int, size: int, offset: int) -> int:
    process.space.prepare_write(buffer, size)
    return host_call("pread64", fd, process.space.base + buffer, min(size, _WINDOW - buffer), offset)


@system_call("pwrite64", FD, BUFFER, SIZE, LONG_LONG)
def pwrite64(process: LinuxProcess, fd: int, buffer: int, size: int, offset: int) -> int:
    return host_call("pwrite64", fd, process.space.base + buffer, min(size, _WINDOW - buffer), offset)


def host_vectors(process: LinuxProcess, vectors: int, count: int, *, written: bool) -> bytes:
    """The host's iovec array for the guest's; `written`: the kernel will write to the buffers."""
    if not 0 <= count <= _MAXIMUM_VECTORS:
        raise OSError(errno.EINVAL, "too many vectors")
    words = process.memory.words(vectors, 2 * count) if count else []
    host = []
    for base, length in zip(words[::2], words[1::2], strict=True):
        if length >> 31:
            raise OSError(errno.EINVAL, "negative length")
        if written:
            process.space.prepare_write(base, length)
        host += [process.space.base + base, min(length, _WINDOW - base)]
    return struct.pack(f"={len(host)}Q", *host)


@system_call("readv", FD, POINTER, INT)
def readv(process: LinuxProcess, fd: int, vectors: int, count: int) -> int:
    return process.waiting_call("readv", fd, host_vectors(process, vectors, count, written=True), count)


@system_call("writev", FD, POINTER, INT)
def writev(process: LinuxProcess, fd: int, vectors: int, count: int) -> int:
    return process.waiting_call("writev", fd, host_vectors(process, vectors, count, written=False), count)


def _offset(low: int, high: int) -> int:
    """The position of the vector calls: two plain words, low first in either byte order."""
    return low | high << 32


@system_call("preadv", FD, POINTER, INT, UINT, UINT)
def preadv(process: LinuxProcess, fd: int, vectors: int, count: int, low: int, high: int) -> int:
    return host_call(
        "preadv", fd, host_vectors(process, vectors, count, written=True), count, _offset(low, high), 0
    )


@system_call("pwritev", FD, POINTER, INT, UINT, UINT)
def pwritev(process: LinuxProcess, fd: int, vectors: int, count: int, low: int, high: int) -> int:
    return host_call(
        "pwritev", fd, host_vectors(process, vectors, count, written=False), count, _offset(low, high), 0
    )


@system_call("preadv2", FD, POINTER, INT, UINT, UINT, UINT)
def preadv2(process: LinuxProcess, fd: int, vectors: int, count: int, low: int, high: int, flags: int) -> int:
    host = host_vectors(process, vectors, count, written=True)
    return host_call("preadv2", fd, host, count, _offset(low, high), 0, flags)


@system_call("pwritev2", FD, POINTER, INT, UINT, UINT, UINT)
def pwritev2(
    process: LinuxProcess, fd: int, vectors: int, count: int, low: int, high: int, flags: int
) -> int:
    host = host_vectors(process, vectors, count, written=False)
    return host_call("pwritev2", fd, host, count, _offset(low, high), 0, flags)


def _seek(process: LinuxProcess, fd: int, offset: int, whence: int) -> int:
    if whence == os.SEEK_SET:
        offset = process.directory_offsets.for_host(fd, offset)
    position = host_call("lseek", fd, offset, whence)
    return position if position < 0 else process.directory_offsets.after_seek(fd, position)


@system_call("lseek", FD, INT, INT)
def lseek(process: LinuxProcess, fd: int, offset: int, whence: int) -> int:
    result = _seek(process, fd, offset, whence)
    if result >> 31 > 0:
        return -errno.EOVERFLOW
    return result


@system_call("_llseek", FD, UINT, UINT, POINTER, INT)
def llseek(process: LinuxProcess, fd: int, high: int, low: int, result: int, whence: int) -> int:
    offset = high << 32 | low
    position = _seek(process, fd, offset - ((offset >> 63) << 64), whence)
    if position < 0:
        return position
    process.memory.set_double_word(result, position)
    return 0


def _with_offset(process: LinuxProcess, address: int, wide: bool) -> bytearray | None:
    """A host loff_t initialised from the guest's at `address`; None for a null pointer."""
    if not address:
        return None
    memory = process.memory
    return bytearray(struct.pack("=Q", memory.double_word(address) if wide else memory.word(address)))


def _pointer(offset: bytearray | None) -> object:

    return None if offset is None else (ctypes.c_char * 8).from_buffer(offset)


def _store_offset(process: LinuxProcess, address: int, offset: bytearray | None, wide: bool) -> None:
    if offset is None:
        return
    (value,) = struct.unpack("=Q", offset)
    if wide:
        process.memory.set_double_word(address, value)
    else:
        process.memory.set_word(address, value)


def _sendfile(process: LinuxProcess, target: int, source: int, address: int, size: int, wide: bool) -> int:
    offset = _with_offset(process, address, wide)
    result = process.waiting_call("sendfile", target, source, _pointer(offset), size)
    if result >= 0:
        _store_offset(process, address, offset, wide)
    return result


@system_call("sendfile", FD, FD, POINTER, SIZE)
def sendfile(process: LinuxProcess, target: int, source: int, address: int, size: int) -> int:
    return _sendfile(process, target, source, address, size, wide=False)


@system_call("sendfile64", FD, FD, POINTER, SIZE)
def sendfile64(process: LinuxProcess, target: int, source: int, address: int, size: int) -> int:
    return _sendfile(process, target, source, address, size, wide=True)


@system_call("copy_file_range", FD, POINTER, FD, POINTER, SIZE, UINT)
def copy_file_range(
    process: LinuxProcess, source: int, source_at: int, target: int, target_at: int, size: int, flags: int
) -> int:
    return _between(process, "copy_file_range", source, source_at, target, target_at, size, flags)


@system_call("splice", FD, POINTER, FD, POINTER, SIZE, UINT)
def splice(
    process: LinuxProcess, source: int, source_at: int, target: int, target_at: int, size: int, flags: int
) -> int:
    return _between(process, "splice", source, source_at, target, target_at, size, flags)


def _between(
    process: LinuxProcess,
    name: str,
    source: int,
    source_at: int,
    target: int,
    target_at: int,
    size: int,
    flags: int,
) -> int:
    from_offset = _with_offset(process, source_at, wide=True)
    to_offset = _with_offset(process, target_at, wide=True)
    result = process.waiting_call(
        name, source, _pointer(from_offset), target, _pointer(to_offset), size, flags
    )
    if result >= 0:
        _store_offset(process, source_at, from_offset, wide=True)
        _store_offset(process, target_at, to_offset, wide=True)
    return result


@system_call("tee", FD, FD, SIZE, UINT)
def tee(process: LinuxProcess, source: int, target: int, size: int, flags: int) -> int:
    return process.waiting_call("tee", source, target, size, flags)
