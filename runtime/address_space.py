"""A user-mode guest's address space: a window of host addresses in which every guest address has its place.

The window is 4 GiB of reserved host addresses, so `host address = base + guest address` holds for every
guest address and generated code needs no check: what the guest has not mapped is PROT_NONE on the host and
faults there. Guest pages are never executable on the host; the EXEC bit lives in `page_flags` alone.

Pages that hold decoded code carry CODE in `page_flags` and are write-protected on the host. Whoever changes
such a page (the guest's store, through the fault handler; the host kernel on a system call's behalf, through
`prepare_write`; a mapping call) first makes `code_changed` drop what was derived from it.

Several guest threads will call this class under one lock, and `os.fork` copies it as it stands: all memory
but shared mappings is private to the process, and nothing here refers to anything outside the window.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Callable
from typing import Final

from runtime import host_memory
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)
from runtime.region_map import Region, RegionMap

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_MASK: Final = PAGE_SIZE - 1
WINDOW_SIZE: Final = 1 << 32
GUARD_SIZE: Final = 1 << 16
"""Reserved before and behind the window: base + displacement of an access may reach a little further."""
USER_END: Final = 0x8000_0000
"""End of a guest's user space (KUSEG); the rest of the window stays inaccessible for good."""

READ: Final = 1
WRITE: Final = 2
EXEC: Final = 4
CODE: Final = 8
"""The page holds decoded code and is write-protected on the host."""
FILE: Final = 16
"""A file's page, which is gone (SIGBUS) when the file shrinks: not to be touched without care."""


class GuestFault(Exception):
    """An access to guest memory that the guest itself could not make."""

    def __init__(self, address: int, is_write: bool) -> None:
        super().__init__(f"guest {'write' if is_write else 'read'} fault at {address:#010x}")
        self.address = address
        self.is_write = is_write


def page_start(address: int) -> int:
    """`address` rounded down to a page boundary."""
    return address & ~PAGE_MASK


def page_end(address: int) -> int:
    """`address` rounded up to a page boundary."""
    return (address + PAGE_MASK) & ~PAGE_MASK


def _ignore_code_change(first_page: int, last_page: int) -> None:
    """Nothing has been derived from the guest's code yet."""


def _ignore_bottom() -> None:
    """No code has been generated yet."""


class AddressSpace:
    """One guest process's memory. Addresses are guest virtual addresses; lengths are bytes.

    Mapping methods take page-aligned ranges inside user space and raise `OSError` with Linux's errno
    (EINVAL for a range that is not, ENOMEM when memory or addresses run out).
    """

    def __init__(self) -> None:
        host_page = mmap.PAGESIZE
        if host_page != PAGE_SIZE:
            raise OSError(
                errno.ENOTSUP,
                f"this host has {host_page}-byte pages; programs need a host with {PAGE_SIZE}-byte pages",
            )
        self.base: Final = GUARD_SIZE + host_memory.map_memory(
            0, GUARD_SIZE + WINDOW_SIZE + GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        )
        """Host address of guest address 0."""
        self.page_flags: Final = (ctypes.c_uint8 * (WINDOW_SIZE >> PAGE_SHIFT))()
        """READ, WRITE, EXEC, CODE, FILE bits of every guest page; generated code reads them."""
        self.regions: Final = RegionMap()
        self.version = 0
        """Grows with every change of a mapping or protection."""
        self.search_top = USER_END
        """Free addresses are searched from here downwards …"""
        self.search_bottom = 0x1_0000
        """… to here."""
        self.code_changed: Callable[[int, int], None] = _ignore_code_change
        """Called with the first and last page number before pages with CODE change or lose CODE."""
        self.bottom_mapped: Callable[[], None] = _ignore_bottom
        """Called when something is mapped so low that addresses that wrap around can reach it."""
        self._flags: Final = memoryview(self.page_flags).cast("B")
        self._flags_address: Final = ctypes.addressof(self.page_flags)
        self._memory_descriptor = -1

    def close(self) -> None:
        """Give the window back to the host. The address space is unusable afterwards."""
        if self._memory_descriptor >= 0:
            os.close(self._memory_descriptor)
            self._memory_descriptor = -1
        host_memory.unmap_memory(self.base - GUARD_SIZE, GUARD_SIZE + WINDOW_SIZE + GUARD_SIZE)
        self.regions.remove(0, WINDOW_SIZE)

    # Mapping.

    def map_anonymous(
        self, address: int, length: int, protection: int, *, shared: bool = False, name: str = ""
    ) -> None:
        """Map zero-filled memory at `address`, replacing what was there."""
        end = self._checked_end(address, length)
        self._forget_code(address, end)
        flags = MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | (MAP_SHARED if shared else MAP_PRIVATE)
        host_memory.map_memory(self.base + address, end - address, _host_protection(protection), flags)
        self._entered(Region(address, end, protection, shared, name))

    def map_file(
        self,
        address: int,
        length: int,
        protection: int,
        fd: int,
        offset: int,
        *,
        shared: bool = False,
        name: str = "",
    ) -> None:
        """Map a file's bytes from `offset`, a multiple of the page size, replacing what was there."""
        end = self._checked_end(address, length)
        status = os.fstat(fd)
        self._forget_code(address, end)
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE)
        host_memory.map_memory(
            self.base + address, end - address, _host_protection(protection), flags, fd, offset
        )
        self._entered(
            Region(address, end, protection, shared, name, offset, status.st_dev, status.st_ino or 1)
        )

    def unmap(self, address: int, length: int) -> None:
        """Remove every mapping of the range; parts that have none are left alone."""
        end = self._checked_end(address, length)
        self._forget_code(address, end)
        self._reserve(address, end)
        self.regions.remove(address, end)
        self._set_flags(address, end, 0)

    def protect(self, address: int, length: int, protection: int) -> None:
        """Change the protection of a range, all of which must be mapped (else ENOMEM)."""
        end = self._checked_end(address, length)
        if not self.regions.covers(address, end):
            raise OSError(errno.ENOMEM, "mprotect: the range is not all mapped")
        self._forget_code(address, end)
        host_memory.protect_memory(self.base + address, end - address, _host_protection(protection))
        self.regions.update(address, end, protection=protection)
        for region in self.regions.overlapping(address, end):
            first, last = max(address, region.start), min(end, region.end)
            self._set_flags(first, last, protection | (FILE if region.is_file else 0))
            self._watch_aliases(region.part(first, last))

    def find_free(self, length: int, hint: int = 0) -> int:
        """The address of `length` free bytes: `hint` if they are free there, else searched from the top."""
        length = page_end(length)
        if hint:
            end = hint + length
            if self.search_bottom <= hint and end <= USER_END and not self.regions.overlapping(hint, end):
                return hint
        found = self.regions.highest_gap(length, self.search_bottom, self.search_top)
        if found is None:
            raise OSError(errno.ENOMEM, f"no {length} free bytes of guest addresses")
        return found

    def remap(
        self, address: int, length: int, new_length: int, new_address: int | None, may_move: bool
    ) -> int:
        """Resize, or move to `new_address`, one region's pages (mremap); returns where they are now.

        EFAULT when the range is not within one region, ENOMEM when it can neither grow nor move.
        """
        end = self._checked_end(address, length)
        region = self.regions.find(address)
        if region is None or region.end < end:
            raise OSError(errno.EFAULT, "mremap: the range is not one mapping")
        if new_address is None:
            if new_length <= length:
                if new_length < length:
                    self.unmap(address + new_length, length - new_length)
                return address
            grown = address + new_length
            if grown <= USER_END and not self.regions.overlapping(end, grown):
                self._grow(region.part(address, end), grown)
                return address
            if not may_move:
                raise OSError(errno.ENOMEM, "mremap: cannot grow in place")
            new_address = self.find_free(new_length)
        new_end = self._checked_end(new_address, new_length)
        # Pages that are write-protected for their code are mappings of their own to the host.
        self.prepare_discard(address, length)
        self._forget_code(new_address, new_end)
        self._move_pages(region.part(address, end), new_length, new_address)
        self._reserve(address, end)
        self.regions.remove(address, end)
        self._set_flags(address, end, 0)
        self._entered(region.part(address, end)._replace(start=new_address, end=new_end))
        return new_address

    def _move_pages(self, region: Region, new_length: int, new_address: int) -> None:
        """Move pages on the host.

        That leaves a hole in the window until the caller closes it; only another host thread's mmap could
        fall into it, and threads that map memory while a guest runs do not exist.
        """
        length = region.end - region.start
        source, target = self.base + region.start, self.base + new_address
        flags = host_memory.MREMAP_MAYMOVE | host_memory.MREMAP_FIXED
        try:
            host_memory.move_memory(source, length, new_length, flags, target)
        except OSError as error:
            if error.errno != errno.EFAULT or region.is_file or region.shared:
                raise
            # One region to the guest can be several mappings to the host, which moves one at a time.
            anonymous = MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_PRIVATE
            host_memory.map_memory(target, new_length, PROT_READ | PROT_WRITE, anonymous)
            host_memory.protect_memory(source, length, PROT_READ)
            ctypes.memmove(target, source, min(length, new_length))
            host_memory.protect_memory(target, new_length, _host_protection(region.protection))

    def _grow(self, region: Region, end: int) -> None:
        if region.is_file or region.shared:
            host_memory.unmap_memory(self.base + region.end, end - region.end)
            try:
                host_memory.move_memory(
                    self.base + region.start, region.end - region.start, end - region.start, 0, 0
                )
            except OSError:
                self._reserve(region.end, end)
                raise
            self._entered(region._replace(end=end), keep_code=True)
        else:
            self.map_anonymous(region.end, end - region.end, region.protection, name=region.name)

    # Code pages.

    def mark_code(self, page: int) -> None:
        """Note that code of this page (a page number) has been decoded: the host makes it read-only."""
        if self._flags[page] & CODE:
            return
        self._watch_stores(page)
        for alias in self._aliases(page):
            self._watch_stores(alias)

    def _watch_stores(self, page: int) -> None:
        """Set CODE; where the guest may write, the host may no more."""
        flags = self._flags[page]
        if flags & WRITE and not flags & CODE:
            host_memory.protect_memory(self.base + (page << PAGE_SHIFT), PAGE_SIZE, PROT_READ)
        self._flags[page] = flags | CODE

    def unmark_code(self, first_page: int, last_page: int) -> None:
        """Drop what was derived from these pages' code; where the guest may write, so may the host again."""
        self.code_changed(first_page, last_page)
        for page in range(first_page, last_page + 1):
            flags = self._flags[page]
            if flags & CODE:
                self._flags[page] = flags & ~CODE
                if flags & WRITE:
                    host_memory.protect_memory(
                        self.base + (page << PAGE_SHIFT), PAGE_SIZE, PROT_READ | PROT_WRITE
                    )
                self.unmark_aliases(page)

    def unmark_aliases(self, page: int) -> None:
        """The page has been written to: drop what was derived from the same file page where it is mapped otherwise."""
        for alias in self._aliases(page):
            if self._flags[alias] & CODE:
                self.unmark_code(alias, alias)

    def _aliases(self, page: int) -> list[int]:
        """The other pages that show the same page of a file. (A private one that has been written to does not any
        more; that it is taken for an alias costs a little speed.)"""
        if not self._flags[page] & FILE:
            return []
        region = self.regions.find(page << PAGE_SHIFT)
        if region is None:
            return []
        offset = region.offset + (page << PAGE_SHIFT) - region.start
        pages = [
            other.start + offset - other.offset >> PAGE_SHIFT
            for other in self.regions
            if (other.device, other.inode) == (region.device, region.inode)
            and other.offset <= offset < other.offset + other.end - other.start
            and (other.shared or region.shared)
        ]
        return [alias for alias in pages if alias != page]

    def prepare_write(self, address: int, length: int) -> None:
        """Make the range writable for the host kernel as far as the guest may write there."""
        if length <= 0:
            return
        address &= WINDOW_SIZE - 1
        first = address >> PAGE_SHIFT
        last = min((address + length - 1) >> PAGE_SHIFT, (USER_END >> PAGE_SHIFT) - 1)
        for page in range(first, last + 1):
            flags = self._flags[page]
            if flags & CODE and flags & WRITE:
                self.unmark_code(page, page)
            elif not flags & WRITE:
                return  # the kernel stops here with EFAULT

    def prepare_discard(self, address: int, length: int) -> None:
        """Before the range's contents are thrown away (madvise): drop what was derived from code in it."""
        end = page_end(address + length)
        if self._has_code(address, end):
            self.unmark_code(address >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT)

    # Access from Python.

    def read(self, address: int, length: int) -> bytes:
        """The bytes of a readable range, else `GuestFault`."""
        self._check(address, length, READ)
        if self._is_file(address, length):
            return self._read_file_pages(address, length)
        return ctypes.string_at(self.base + address, length)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes where the guest may write, else `GuestFault` (and nothing is written)."""
        length = len(data)
        self._check(address, length, WRITE)
        self.prepare_write(address, length)
        if self._is_file(address, length):
            self._write_file_pages(address, bytes(data))
        else:
            ctypes.memmove(self.base + address, bytes(data), length)

    def read_c_string(self, address: int, limit: int = 1 << 20) -> bytes:
        """The bytes up to a terminating zero, without it; `GuestFault` when memory ends before it."""
        pieces = []
        while limit > 0:
            length = min(PAGE_SIZE - (address & PAGE_MASK), limit)
            piece = self.read(address, length)
            end = piece.find(0)
            if end >= 0:
                pieces.append(piece[:end])
                break
            pieces.append(piece)
            address += length
            limit -= length
        return b"".join(pieces)

    def host_pointer(self, address: int, length: int = 0) -> int:
        """The host address to give the host kernel, which checks it: guest faults come back as EFAULT."""
        address &= WINDOW_SIZE - 1
        if address + length > WINDOW_SIZE:
            raise GuestFault(address, False)
        return self.base + address

    def _check(self, address: int, length: int, needed: int) -> None:
        if address < 0 or address + length > USER_END:
            raise GuestFault(address, needed == WRITE)
        flags = self._flags
        if length <= 0:
            return
        for page in range(address >> PAGE_SHIFT, ((address + length - 1) >> PAGE_SHIFT) + 1):
            # Host and guest alike grant reading to whoever may write or execute.
            if not flags[page] & (READ | WRITE | EXEC if needed == READ else WRITE):
                raise GuestFault(max(address, page << PAGE_SHIFT), needed == WRITE)

    def _is_file(self, address: int, length: int) -> bool:
        first = address >> PAGE_SHIFT
        last = max(address + length - 1, address) >> PAGE_SHIFT
        return any(self._flags[page] & FILE for page in range(first, last + 1))

    def _memory_file(self) -> int:
        """/proc/self/mem, where a vanished file page is an error and not SIGBUS; out of the guest's way."""
        if self._memory_descriptor < 0:
            from runtime.host_descriptors import out_of_the_way

            self._memory_descriptor = out_of_the_way(os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC))
        return self._memory_descriptor

    def _read_file_pages(self, address: int, length: int) -> bytes:
        try:
            data = os.pread(self._memory_file(), length, self.base + address)
        except OSError:
            data = b""
        if len(data) != length:
            raise GuestFault(address + len(data), False)
        return data

    def _write_file_pages(self, address: int, data: bytes) -> None:
        try:
            written = os.pwrite(self._memory_file(), data, self.base + address)
        except OSError:
            written = 0
        if written != len(data):
            raise GuestFault(address + written, True)

    # Bookkeeping.

    def _checked_end(self, address: int, length: int) -> int:
        if address & PAGE_MASK or address < 0 or length <= 0:
            raise OSError(errno.EINVAL, "address not page-aligned, or length zero")
        end = page_end(address + length)
        if end > USER_END:
            raise OSError(errno.ENOMEM, "range beyond the end of user space")
        return end

    def _reserve(self, start: int, end: int) -> None:
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        host_memory.map_memory(self.base + start, end - start, PROT_NONE, flags)
        self.version += 1

    @property
    def maps_bottom(self) -> bool:
        """Whether something is mapped so low that addresses that wrap around can reach it."""
        return bool(self.regions.overlapping(0, GUARD_SIZE))

    def _entered(self, region: Region, *, keep_code: bool = False) -> None:
        self.regions.add(region)
        if region.start < GUARD_SIZE:
            self.bottom_mapped()
        flags = region.protection | (FILE if region.is_file else 0)
        if not keep_code:
            self._set_flags(region.start, region.end, flags)
            self._watch_aliases(region)
            return
        for page in range(region.start >> PAGE_SHIFT, region.end >> PAGE_SHIFT):
            self._flags[page] = flags | (self._flags[page] & CODE)
        self.version += 1

    def _watch_aliases(self, region: Region) -> None:
        """Watch the stores to pages of a new mapping whose file page holds decoded code in another one."""
        if not region.shared or not region.is_file:
            return
        for other in self.regions:
            same_file = (other.device, other.inode) == (region.device, region.inode)
            if not same_file or not self._has_code(other.start, other.end):
                continue
            distance = region.start - region.offset - (other.start - other.offset)
            for page in range(other.start >> PAGE_SHIFT, other.end >> PAGE_SHIFT):
                alias = (page << PAGE_SHIFT) + distance
                if self._flags[page] & CODE and region.start <= alias < region.end:
                    self._watch_stores(alias >> PAGE_SHIFT)

    def _set_flags(self, start: int, end: int, flags: int) -> None:
        first = start >> PAGE_SHIFT
        ctypes.memset(self._flags_address + first, flags, (end >> PAGE_SHIFT) - first)
        self.version += 1

    def _has_code(self, start: int, end: int) -> bool:
        return not CODE_BYTES.isdisjoint(bytes(self._flags[start >> PAGE_SHIFT : end >> PAGE_SHIFT]))

    def _forget_code(self, start: int, end: int) -> None:
        """Before a mapping call: the pages' flags are about to be rewritten, so only the listener is told."""
        if not self._has_code(start, end):
            return
        first, last = start >> PAGE_SHIFT, (end >> PAGE_SHIFT) - 1
        self.code_changed(first, last)
        for page in range(first, last + 1):
            self._flags[page] &= ~CODE


CODE_BYTES: Final = frozenset(flags for flags in range(256) if flags & CODE)


def _host_protection(protection: int) -> int:
    """Guest code is read, never executed, by the host; on MIPS whoever may write or execute may read."""
    if protection & WRITE:
        return PROT_READ | PROT_WRITE
    return PROT_READ if protection & (READ | EXEC) else PROT_NONE
