"""The host kernel's memory calls, through ctypes: `mmap` at fixed addresses, which Python's does not do."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Final

from translator.host_memory_flags import (
    MADV_COLLAPSE,
    MADV_DONTNEED,
    MADV_POPULATE_READ,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)

MREMAP_MAYMOVE: Final = 1
MREMAP_FIXED: Final = 2

__all__ = [
    "MAP_ANONYMOUS",
    "MAP_FIXED",
    "MAP_NORESERVE",
    "MAP_PRIVATE",
    "MAP_SHARED",
    "MREMAP_FIXED",
    "MREMAP_MAYMOVE",
    "PROT_EXEC",
    "PROT_NONE",
    "PROT_READ",
    "PROT_WRITE",
    "collapse_memory",
    "discard_memory",
    "map_memory",
    "move_memory",
    "populate_memory",
    "protect_memory",
    "remove_memory",
    "unmap_memory",
]

_MAP_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_munmap = _libc.munmap
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_mprotect = _libc.mprotect
_mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_madvise = _libc.madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_mremap = _libc.mremap
_mremap.restype = ctypes.c_void_p
_mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


def map_memory(address: int, length: int, protection: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """Map `length` bytes and return their host address; `OSError` when the kernel refuses."""
    result = _mmap(address, length, protection, flags, fd, offset)
    if result is None or result == _MAP_FAILED:
        raise _error("mmap")
    return int(result)


def unmap_memory(address: int, length: int) -> None:
    """Give the host addresses back to the host kernel; `OSError` when it refuses."""
    if _munmap(address, length):
        raise _error("munmap")


def protect_memory(address: int, length: int, protection: int) -> None:
    """Change the host protection of mapped pages; `OSError` when the kernel refuses."""
    if _mprotect(address, length, protection):
        raise _error("mprotect")


def discard_memory(address: int, length: int) -> None:
    """Give private anonymous pages back: they read as zeros from now on. `OSError` when the kernel refuses."""
    if _madvise(address, length, MADV_DONTNEED):
        raise _error("madvise")


def remove_memory(address: int, length: int) -> None:
    """Give shared pages of a file in memory back: they read as zeros from now on. `OSError` when the kernel refuses."""
    if _madvise(address, length, mmap.MADV_REMOVE):
        raise _error("madvise")


def populate_memory(address: int, length: int) -> bool:
    """Have in memory what is mapped there, unchanged; False when the kernel refuses."""
    return not _madvise(address, length, MADV_POPULATE_READ)


def collapse_memory(address: int, length: int) -> bool:
    """Back what is mapped there, some of which must be in memory, with large pages; False when the kernel refuses."""
    return not _madvise(address, length, MADV_COLLAPSE)


def move_memory(address: int, length: int, new_length: int, flags: int, new_address: int) -> int:
    """`mremap`; returns the new host address, `OSError` when the kernel refuses."""
    result = _mremap(address, length, new_length, flags, new_address)
    if result is None or result == _MAP_FAILED:
        raise _error("mremap")
    return int(result)
