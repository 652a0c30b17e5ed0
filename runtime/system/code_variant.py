"""What is derived from the code of machine pages in one way: predecoded entries and regions.

Several vCPUs run it at once, on threads of their own, and find what the others have derived: each entry is written so
that its handler, by which it is recognised, comes last.
"""

from __future__ import annotations

import ctypes
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from runtime.decoded_words import interpreter_build
from runtime.disk_cache import DiskCache
from runtime.flat_array import words_in_use, zeros
from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    discard_memory,
    map_memory,
    unmap_memory,
)
from runtime.system.installed_regions import InstalledRegions
from runtime.system.page_routines import page_routines
from translator.decode_table import decode_table
from translator.predecode import (
    COUNTER_OFFSET,
    COUNTER_PARKED,
    ENTRY_SIZE,
    OPERANDS_OFFSET,
    SYSTEM_HOT_THRESHOLD,
    SYSTEM_HOTTER_THRESHOLD,
    SYSTEM_WARM_SHIFT,
)
from translator.system.views import ENTRIES_SHIFT
from translator.translation import Mode

if TYPE_CHECKING:
    from runtime.native_code import NativeCode
    from runtime.system.decoded_pages import DecodedPages

_ENTRIES_SIZE: Final = 1 << 14
"""Bytes of a page's entries."""
_ENTRIES_USED: Final = _ENTRIES_SIZE + (1 << 12)
"""The same with the sentinel, in whole pages of the host."""


class Runner(Protocol):
    """A vCPU, as far as others must know whether it is in native code."""

    @property
    def phase(self) -> int:
        """Odd while it may be in native code; another number after each stay there."""

    def ask_for_visit(self) -> None:
        """Have it leave native code soon, if only for a moment; on any thread."""


@dataclass(frozen=True)
class VariantKey:
    """All that entries and regions depend on, beside the code."""

    big_endian: bool
    instruction_clock: bool
    use_cache: bool
    engine: str
    count_instructions: bool
    wide_fpu: bool = False
    float_checked: bool = False

    def mode(self) -> Mode:
        """What its regions are made for."""
        return Mode(
            big_endian=self.big_endian,
            wide_fpu=self.wide_fpu,
            float_checked=self.float_checked,
            count_instructions=self.count_instructions,
            system=True,
        )


class CodeVariant:
    """Entries of every machine page, by its number, and the regions that stand in them."""

    def __init__(self, key: VariantKey, native: NativeCode, pages: int, decoded: DecodedPages) -> None:
        self.key: Final = key
        self.mode: Final = key.mode()
        self.native: Final = native
        stride = 1 << ENTRIES_SHIFT
        self._size: Final = pages * stride + stride
        self._memory: Final = map_memory(
            0, self._size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        )
        # Native code takes two entries for those of one page if they differ in low bits of their addresses only.
        self.entries_base: Final = self._memory + -self._memory % stride
        """Host address of the predecoded entries of page 0."""
        self.pages: Final = zeros(ctypes.c_uint8, pages)
        """1: there may be entries of the page."""
        self.cold: Final = SYSTEM_HOT_THRESHOLD - 1 if key.engine == "translator" else 0
        """The counter of an address that control has not gone to."""
        self._known: frozenset[int] = frozenset()
        """Pages that were executed before the last virtual machine began."""
        self._decode_table: Final = ctypes.create_string_buffer(self._cached_decode_table())
        self.decode_table: Final = ctypes.addressof(self._decode_table)
        """Host address of the table by which native code decodes."""
        self._pool: Final = native.stencils.take() if native.stencils and key.engine == "auto" else None
        self.stencil_pool: Final = self._pool.address if self._pool else 0
        """See `StencilPool`; 0: entries run handlers only."""
        self.stencil_table: Final = native.stencils.table() if native.stencils and self._pool else 0
        self.regions: Final = InstalledRegions(self, decoded)

    def close(self) -> None:
        """Give everything back to the host."""
        self.regions.close()
        unmap_memory(self._memory, self._size)
        if self.native.stencils and self._pool:
            self.native.stencils.give_back(self._pool)

    @property
    def stencil_bytes(self) -> int:
        """Bytes of code that has been made from stencils."""
        return self._pool.used if self._pool else 0

    def empty_full_pool(self, runners: list[Runner]) -> None:
        """Have memory for new runs of stencils some time, if there is none left. Under the machine memory's lock."""
        if self._pool:
            self._pool.empty_if_full(runners, self._forget_runs)

    def _forget_runs(self) -> None:
        forget_runs = page_routines(self.key.use_cache).forget_runs
        for page, _ in words_in_use(self.pages):
            count = _ENTRIES_SIZE // ENTRY_SIZE
            forget_runs(self.entries(page), count, self.native.handlers_end, self.native.tier_0_end)

    def _cached_decode_table(self) -> bytes:
        """It takes 0.03 s to make one."""
        cache = DiskCache(enabled=self.key.use_cache)
        build = interpreter_build(self.native.handlers)
        name = f"decode-table-{'wide' if self.key.wide_fpu else 'narrow'}-{build}"
        table = cache.load(name)
        if table is None:
            table = decode_table(self.native.handlers, wide_fpu=self.key.wide_fpu)
            cache.store(name, table)
        return table

    def entries(self, page: int) -> int:
        """Host address of the entries of a page."""
        return self.entries_base + (page << ENTRIES_SHIFT)

    def begin(self, page: int) -> None:
        """Before the first instruction of a page is decoded."""
        if self.pages[page]:
            return
        if self.cold:
            fields = (ctypes.c_uint32 * (_ENTRIES_SIZE // 4)).from_address(self.entries(page))
            counters = memoryview(fields).cast("B").cast("I")[COUNTER_OFFSET // 4 :: ENTRY_SIZE // 4]
            counters[:] = memoryview(array("I", [self.cold]) * len(counters))
        self.pages[page] = 1

    def copy(self, page: int, fresh: int) -> None:
        """Have in a copy of a page what has been decoded in that. Where a region was entered, the next branch asks for
        it, and gets it.
        """
        first, distance = self.entries(page), self.entries(fresh) - self.entries(page)
        ctypes.memmove(first + distance, first, _ENTRIES_USED)
        for entry in self.regions.asked_for(page):
            self.cool(entry + distance)
        for entry, handler in self.regions.bequeath(page, distance):
            ctypes.c_uint32.from_address(entry).value = handler
            counter = ctypes.c_uint32.from_address(entry + COUNTER_OFFSET)
            counter.value = self.cold or (1 << SYSTEM_WARM_SHIFT) - 1

    def forget(self, page: int) -> None:
        """Drop what is derived from a page, which nobody executes."""
        if self.pages[page]:
            self.regions.drop_page(page)
            self.pages[page] = 0
            discard_memory(self.entries(page), _ENTRIES_USED)

    def counter(self, entry: int) -> int:
        """How often control has gone to the entry at a host address, perhaps with COUNTER_PARKED."""
        return ctypes.c_uint32.from_address(entry + COUNTER_OFFSET).value

    def is_hot(self, count: int, page: int) -> bool:
        """Whether an address of a page is worth a translation, by its counter. One that is parked is."""
        return count >= (SYSTEM_HOTTER_THRESHOLD if page in self._known else SYSTEM_HOT_THRESHOLD)

    def park(self, entry: int) -> None:
        """The entry need not be reported as hot any more. Native code that counts at this moment may undo it."""
        ctypes.c_uint32.from_address(entry + COUNTER_OFFSET).value |= COUNTER_PARKED

    def begin_anew(self) -> None:
        """See what is hot from now on, rather than altogether: what no virtual machine has made hot in its life so far
        would get hot by the sum of many lives.
        """
        if self.cold:
            return
        cool_entries = page_routines(self.key.use_cache).cool_entries
        self._known = frozenset(page for page, _ in words_in_use(self.pages))
        for page in self._known:
            cool_entries(self.entries(page), _ENTRIES_SIZE // ENTRY_SIZE)
        self.regions.begin_anew()

    def cool(self, entry: int) -> None:
        """See whether an address gets hot again."""
        ctypes.c_uint32.from_address(entry + COUNTER_OFFSET).value = self.cold


def write_entry(entry: int, contents: bytes) -> None:
    """Fill the entry at a host address; its counter stays as it is."""
    ctypes.memmove(entry + OPERANDS_OFFSET, contents[OPERANDS_OFFSET:], COUNTER_OFFSET - OPERANDS_OFFSET)
    ctypes.c_uint32.from_address(entry).value = int.from_bytes(contents[:OPERANDS_OFFSET], "little")
