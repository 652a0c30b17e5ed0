"""Finding the kernel inside a self-extracting one (arch/mips/boot/compressed of Linux).

Extracting on the host takes a third of a second, once: the result is kept in the user's cache. In the guest it takes
2.1 G instructions.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import marshal
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dbt_disco.virtual_machine.memory_image import FileRange
from runtime.addresses import VirtualAddress
from runtime.disk_cache import DiskCache, cache_directory

_LZMA_ALONE: Final = b"\x5d\0\0"
"""Also by chance; anything that begins so can be decompressed for some time."""

_DECOMPRESSORS: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    (b"\x1f\x8b\x08", lambda: zlib.decompressobj(wbits=31)),
    (_LZMA_ALONE, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE)),
    (b"BZh", lambda: bz2.BZ2Decompressor()),
)
"""What Linux compresses kernels with and Python can undo; one compressed otherwise extracts itself in the guest."""

_CHUNK: Final = 1 << 16
_NO_ACCIDENT: Final = 1 << 16
"""Bytes: where so much could be decompressed before it failed, there is something that is damaged."""

_DAMAGED: Final = (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError)

_KSEG0: Final = 0x8000_0000
_LINK_STEP: Final = 0x1_0000
"""The extractor is linked to the next multiple of this behind the kernel (calc_vmlinuz_load_addr.c)."""

_START_CODE_SIZE: Final = 0x100
"""Bytes from the extractor's entry point within which it goes on to the kernel (compressed/head.S)."""
_LUI: Final = 0o17
_ADDIU: Final = 0o11
_ORI: Final = 0o15
_JUMP_REGISTER: Final = frozenset({0o10, 0o11})
"""Function codes of `jr` and `jalr`."""

_DIRECTORY: Final = "unpacked-kernels"
"""Where unpacked kernels are in the cache directory."""
_DIGEST_SIZE: Final = 16
_CHECKSUM_SIZE: Final = 4


class DamagedKernel(Exception):
    """There is a kernel inside, and it cannot be decompressed."""


@dataclass(frozen=True)
class Payload:
    """A kernel that was inside another one."""

    address: VirtualAddress
    """Where it is to be loaded."""
    entry: VirtualAddress
    size: int
    contents: FileRange | bytes
    big_endian: bool


def recall(status: os.stat_result) -> Payload | None:
    """What `find` has found in a file of this status, if that is still known and kept; nothing is read for it."""
    remembered = DiskCache().load(_record_name(status))
    if remembered is None:
        return None
    path, kept_as, address, entry, size, big_endian = marshal.loads(remembered)
    try:
        if _identity(os.stat(path)) != kept_as:
            return None
    except OSError:
        return None
    return Payload(
        VirtualAddress(address), VirtualAddress(entry), size, FileRange(Path(path), 0, size), big_endian
    )


def remember(status: os.stat_result, payload: Payload) -> None:
    """For `recall`: the payload of the file that had this status."""
    kept = payload.contents
    if isinstance(kept, FileRange):
        place = (str(kept.path), _identity(os.stat(kept.path)))
        numbers = (payload.address, payload.entry, payload.size, payload.big_endian)
        DiskCache().store(_record_name(status), marshal.dumps((*place, *numbers)))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """What changes if a file does."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _record_name(status: os.stat_result) -> str:
    return "kernel-in-" + "-".join(f"{number:x}" for number in _identity(status))


def find(data: bytes, start: int, code: bytes, big_endian: bool) -> Payload | None:
    """The kernel inside the self-extracting one whose file is `data`.

    `start`: the physical address that the file's executable is linked to; `code`: what is at its entry point. None
    if there is no kernel inside, or none that this module can extract: the file is an ordinary executable then.
    Raises DamagedKernel.
    """
    entry = _kernel_entry(code[:_START_CODE_SIZE], start, big_endian)
    if entry is None:
        return None
    cached = cache_directory() / _DIRECTORY / hashlib.blake2b(data, digest_size=_DIGEST_SIZE).hexdigest()
    contents: FileRange | bytes
    size = _kept_size(cached)
    if size is not None:
        contents = FileRange(cached, 0, size)
    else:
        kernel = _extract(data, start, entry)
        if kernel is None:
            return None
        size = len(kernel)
        contents = FileRange(cached, 0, size) if _store(cached, kernel) else kernel
    return Payload(_load_address(start, size), entry, size, contents, big_endian)


def unpacked_kernels(root: Path) -> list[Path]:
    """The files that `find` has left in the cache whose $XDG_CACHE_HOME is `root`."""
    return sorted(cache_directory(root).joinpath(_DIRECTORY).glob("*"))


def _kernel_entry(code: bytes, extractor: int, big_endian: bool) -> VirtualAddress | None:
    """Where the extractor goes when it is done: the constant below its own address that it jumps to."""
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(code) // 4}I", code[: len(code) // 4 * 4])
    for upper, lower, jump in zip(words, words[1:], words[2:], strict=False):
        register = upper >> 16 & 31
        loads_constant = (
            upper >> 26 == _LUI
            and lower >> 26 in (_ADDIU, _ORI)
            and (lower >> 21 & 31, lower >> 16 & 31) == (register, register)
        )
        if loads_constant and jump >> 26 == 0 and jump & 63 in _JUMP_REGISTER and jump >> 21 & 31 == register:
            low = lower & 0xFFFF
            if lower >> 26 == _ADDIU and low & 0x8000:
                low -= 0x1_0000
            target = (upper << 16) + low & 0xFFFF_FFFF
            if _KSEG0 <= target < _KSEG0 + extractor:
                return VirtualAddress(target)
    return None


def _extract(data: bytes, extractor: int, entry: VirtualAddress) -> bytes | None:
    for magic, decompressor in _DECOMPRESSORS:
        at = data.find(magic)
        while at >= 0:
            kernel, is_whole = _decompress(data[at:], decompressor())
            if not is_whole and len(kernel) >= _NO_ACCIDENT and magic != _LZMA_ALONE:
                raise DamagedKernel
            if is_whole and kernel and _load_address(extractor, len(kernel)) <= entry < _KSEG0 + extractor:
                return bytes(kernel)
            at = data.find(magic, at + 1)
    return None


def _decompress(data: bytes, decompressor: Any) -> tuple[bytearray, bool]:
    """As much as there is, and whether that is all of it."""
    kernel = bytearray()
    try:
        for at in range(0, len(data), _CHUNK):
            kernel += decompressor.decompress(data[at : at + _CHUNK])
            if decompressor.eof:
                return kernel, True
    except _DAMAGED:
        pass
    return kernel, False


def _load_address(extractor: int, size: int) -> VirtualAddress:
    return VirtualAddress(_KSEG0 + extractor - (size // _LINK_STEP + 1) * _LINK_STEP)


def _kept_size(path: Path) -> int | None:
    """The size of the kernel that `_store` has kept; None if there is none, or if it is damaged."""
    try:
        data = memoryview(path.read_bytes())
    except OSError:
        return None
    kernel, checksum = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
    return len(kernel) if checksum == _checksum(kernel) else None


def _store(path: Path, kernel: bytes) -> bool:
    """Keep a kernel, with its checksum behind it; False where nothing can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(kernel + _checksum(kernel))
                file.flush()
                os.fsync(file.fileno())  # `recall` trusts what has not changed since
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            return False
    except OSError:
        return False
    return True


def _checksum(contents: bytes | memoryview) -> bytes:
    """Against damage; a digest would take a tenth of the time before the guest runs."""
    return zlib.crc32(contents).to_bytes(_CHECKSUM_SIZE, "little")
