"""Memory: mmap and its relatives, the program break, cache maintenance."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.flag_table import FlagTable
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.memory_usage import is_data
from dbt_disco.linux.system_call import (
    FD,
    INT,
    MAP_FLAGS,
    POINTER,
    PROTECTION,
    SIZE,
    UINT,
    system_call,
)
from runtime.address_space import PAGE_MASK, PAGE_SIZE, USER_END, AddressSpace, page_end, page_start

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

MAP_FLAG_TABLE: Final = FlagTable(
    # Host values do not matter: the address space is told in other words.
    ("MAP_SHARED_VALIDATE", 0x3, 0),
    ("MAP_SHARED", 0x1, 0),
    ("MAP_PRIVATE", 0x2, 0),
    ("MAP_FIXED", 0x10, 0),
    ("MAP_NORESERVE", 0x400, 0),
    ("MAP_ANONYMOUS", 0x800, 0),
    ("MAP_GROWSDOWN", 0x1000, 0),
    ("MAP_DENYWRITE", 0x2000, 0),
    ("MAP_EXECUTABLE", 0x4000, 0),
    ("MAP_LOCKED", 0x8000, 0),
    ("MAP_POPULATE", 0x1_0000, 0),
    ("MAP_NONBLOCK", 0x2_0000, 0),
    ("MAP_STACK", 0x4_0000, 0),
    ("MAP_HUGETLB", 0x8_0000, 0),
    ("MAP_FIXED_NOREPLACE", 0x10_0000, 0),
)
_MAP_TYPE: Final = 0xF
_MAP_SHARED: Final = 1
_MAP_PRIVATE: Final = 2
_MAP_SHARED_VALIDATE: Final = 3
_MAP_FIXED: Final = 0x10
_MAP_ANONYMOUS: Final = 0x800
_MAP_HUGETLB: Final = 0x8_0000
_MAP_FIXED_NOREPLACE: Final = 0x10_0000
_PROTECTION_BITS: Final = 7
_PROT_GROWSDOWN: Final = 0x0100_0000
_MREMAP_MAYMOVE: Final = 1
_MREMAP_FIXED: Final = 2

_MADV_DONTNEED: Final = 4
_MADV_REMOVE: Final = 9
_MADV_FREE: Final = 8
# Advice that changes what the guest reads and so must reach the host; all other advice may be ignored.
_EFFECTIVE_ADVICE: Final = frozenset({_MADV_DONTNEED, _MADV_REMOVE, _MADV_FREE})
_KNOWN_ADVICE: Final = frozenset(
    {0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}
)


def _map(
    process: LinuxProcess, address: int, length: int, protection: int, flags: int, fd: int, offset: int
) -> int:
    space = process.space
    kind = flags & _MAP_TYPE
    if length == 0 or offset & PAGE_MASK or kind not in (_MAP_SHARED, _MAP_PRIVATE, _MAP_SHARED_VALIDATE):
        return -errno.EINVAL
    if flags & _MAP_HUGETLB:
        return -errno.EINVAL
    length = page_end(length)
    if length > USER_END:
        return -errno.ENOMEM
    if flags & (_MAP_FIXED | _MAP_FIXED_NOREPLACE):
        if address & PAGE_MASK:
            return -errno.EINVAL
        if address + length > USER_END:
            return -errno.ENOMEM
        if flags & _MAP_FIXED_NOREPLACE and space.regions.overlapping(address, address + length):
            return -errno.EEXIST
    else:
        address = space.find_free(length, page_end(address))
    protection &= _PROTECTION_BITS
    shared = kind != _MAP_PRIVATE
    if not flags & _MAP_ANONYMOUS:
        os.fstat(fd)  # a descriptor that is not open is the first thing Linux finds
    growth = length - _mapped_within(space, address, address + length)
    process.limits.check(growth, data=growth if is_data(protection, shared) else 0)
    if flags & _MAP_ANONYMOUS:
        space.map_anonymous(address, length, protection, shared=shared)
    else:
        name = os.readlink(f"/proc/self/fd/{fd}")
        space.map_file(address, length, protection, fd, offset, shared=shared, name=name)
    return address


def _mapped_within(space: AddressSpace, start: int, end: int) -> int:
    """How many bytes of a range are mapped."""
    regions = space.regions.overlapping(start, end)
    return sum(min(end, region.end) - max(start, region.start) for region in regions)


@system_call("mmap", POINTER, SIZE, PROTECTION, MAP_FLAGS, FD, UINT)
def mmap(
    process: LinuxProcess, address: int, length: int, protection: int, flags: int, fd: int, offset: int
) -> int:
    return _map(process, address, length, protection, flags, fd, offset)


@system_call("mmap2", POINTER, SIZE, PROTECTION, MAP_FLAGS, FD, UINT)
def mmap2(
    process: LinuxProcess, address: int, length: int, protection: int, flags: int, fd: int, page: int
) -> int:
    return _map(process, address, length, protection, flags, fd, page * 4096)


@system_call("munmap", POINTER, SIZE)
def munmap(process: LinuxProcess, address: int, length: int) -> int:
    if address + page_end(length) > USER_END:
        return -errno.EINVAL
    process.space.unmap(address, length)
    return 0


@system_call("mprotect", POINTER, SIZE, PROTECTION)
def mprotect(process: LinuxProcess, address: int, length: int, protection: int) -> int:
    if address & PAGE_MASK:
        return -errno.EINVAL
    if length == 0:
        return 0
    if protection & _PROT_GROWSDOWN:
        region = process.space.regions.find(address)
        if region is None:
            return -errno.ENOMEM
        length += address - region.start
        address = region.start
    protection &= _PROTECTION_BITS
    process.limits.check(0, data=_new_data(process, address, page_end(address + length), protection))
    process.space.protect(address, length, protection)
    return 0


def _new_data(process: LinuxProcess, start: int, end: int, protection: int) -> int:
    """How many bytes of a range become data with this protection."""
    return sum(
        min(end, region.end) - max(start, region.start)
        for region in process.space.regions.overlapping(start, end)
        if is_data(protection, region.shared, region.name)
        and not is_data(region.protection, region.shared, region.name)
    )


@system_call("mremap", POINTER, SIZE, SIZE, UINT, POINTER)
def mremap(
    process: LinuxProcess, address: int, length: int, new_length: int, flags: int, new_address: int
) -> int:
    if address & PAGE_MASK or new_length == 0 or flags & ~3:
        return -errno.EINVAL
    may_move = bool(flags & _MREMAP_MAYMOVE)
    fixed = bool(flags & _MREMAP_FIXED)
    length, new_length = page_end(length), page_end(new_length)
    if length == 0:
        return -errno.EINVAL
    if fixed:
        overlaps = new_address < address + length and address < new_address + new_length
        if not may_move or new_address & PAGE_MASK or overlaps:
            return -errno.EINVAL
        process.space.unmap(new_address, new_length)
    region = process.space.regions.find(address)
    if region is not None:
        growth = new_length - length
        data = growth if is_data(region.protection, region.shared, region.name) else 0
        process.limits.check(growth, data=data)
    return process.space.remap(address, length, new_length, new_address if fixed else None, may_move)


@system_call("brk", POINTER)
def brk(process: LinuxProcess, address: int) -> int:
    return process.program_break.move(address)


@system_call("madvise", POINTER, SIZE, INT)
def madvise(process: LinuxProcess, address: int, length: int, advice: int) -> int:
    space = process.space
    length = page_end(length)
    if address & PAGE_MASK or advice not in _KNOWN_ADVICE:
        return -errno.EINVAL
    if length == 0:
        return 0
    if not space.regions.covers(address, address + length):
        return -errno.ENOMEM
    if advice not in _EFFECTIVE_ADVICE:
        return 0
    space.prepare_discard(address, length)
    # MADV_FREE lets the pages vanish under generated code at any time; DONTNEED does so at once.
    effective = _MADV_DONTNEED if advice == _MADV_FREE else advice
    return host_call("madvise", space.host_pointer(address, length), length, effective)


@system_call("msync", POINTER, SIZE, INT)
def msync(process: LinuxProcess, address: int, length: int, flags: int) -> int:
    if not process.space.regions.covers(address, address + page_end(length)):
        return -errno.ENOMEM
    return host_call("msync", process.space.host_pointer(address, length), length, flags)


@system_call("mincore", POINTER, SIZE, POINTER)
def mincore(process: LinuxProcess, address: int, length: int, vector: int) -> int:
    if not process.space.regions.covers(address, address + page_end(length)):
        return -errno.ENOMEM
    process.space.prepare_write(vector, page_end(length) // PAGE_SIZE)
    return host_call(
        "mincore", process.space.host_pointer(address, length), length, process.space.host_pointer(vector)
    )


@system_call("mlock", POINTER, SIZE)
@system_call("munlock", POINTER, SIZE)
def mlock(process: LinuxProcess, address: int, length: int) -> int:
    """Nothing is locked (the host's limit is small), but the range must be there."""
    start = address & ~PAGE_MASK
    end = page_end(address + length)
    return 0 if start == end or process.space.regions.covers(start, end) else -errno.ENOMEM


@system_call("mlockall", INT)
def mlockall(process: LinuxProcess, flags: int) -> int:
    return 0 if flags and not flags & ~7 else -errno.EINVAL


@system_call("munlockall")
def munlockall(process: LinuxProcess) -> int:
    return 0


@system_call("cacheflush", POINTER, SIZE, INT)
def cacheflush(process: LinuxProcess, address: int, length: int, caches: int) -> int:
    """Stores to decoded code have dropped it already, unless they went through another mapping of it."""
    if address + length > USER_END:
        return -errno.EFAULT
    for region in process.space.regions.overlapping(address, address + length):
        if region.shared:
            first, last = max(region.start, address), min(region.end, address + length)
            process.space.prepare_discard(page_start(first), last - page_start(first))
    return 0
