"""The predecoded entries of a guest address space."""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.decoded_words import DecodedWords
from runtime.disk_cache import DiskCache
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
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE

_PAGE_ENTRIES_SIZE: Final = 1024 * ENTRY_SIZE
_TABLE_SIZE: Final = (1 << 30) * ENTRY_SIZE + (1 << 16)
_PACKED_SIZE: Final = COUNTER_OFFSET
"""Bytes of an entry that decoding sets; the counter behind them lives on."""


class EntryTable:
    """Entries of every instruction of a 4 GiB address space, in a lazily touched reservation of 16 GiB."""

    def __init__(
        self,
        handlers: dict[str, int],
        *,
        wide_fpu: bool,
        cache: DiskCache,
        program_key: str = "",
        decodes_natively: bool = True,
    ) -> None:
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.base: Final = map_memory(0, _TABLE_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the entry of guest address 0."""
        self.words: Final = DecodedWords(
            handlers, cache, program_key, wide_fpu=wide_fpu, for_native_code=decodes_natively
        )

    def close(self) -> None:
        """Save the decoded words and unmap everything."""
        self.words.close()
        unmap_memory(self.base, _TABLE_SIZE)

    def address(self, pc: int) -> int:
        """Host address of the entry of guest address `pc`."""
        return self.base + 4 * pc

    def pc_of(self, entry: int) -> int:
        """The inverse of `address`."""
        return (entry - self.base >> 2) & 0xFFFF_FFFF

    def handler(self, pc: int) -> int:
        """The handler offset in the entry of `pc`; 0: not decoded."""
        return ctypes.c_uint32.from_address(self.address(pc)).value

    def set_handler(self, pc: int, offset: int) -> None:
        ctypes.c_uint32.from_address(self.address(pc)).value = offset

    def counter(self, pc: int) -> int:
        """How often a taken branch went to `pc`."""
        return ctypes.c_uint32.from_address(self.address(pc) + COUNTER_OFFSET).value

    def counters(self, pc: int, count: int) -> bytes:
        """The counters of `count` instructions from `pc`, four bytes each."""
        entries = memoryview(ctypes.string_at(self.address(pc), count * ENTRY_SIZE)).cast("I")
        return entries[COUNTER_OFFSET // 4 :: ENTRY_SIZE // 4].tobytes()

    def reset_counter(self, pc: int) -> None:
        ctypes.c_uint32.from_address(self.address(pc) + COUNTER_OFFSET).value = 0

    def forget(self, first_page: int, last_page: int) -> None:
        """Make every entry of these pages undecoded."""
        # Giving the memory back zeroes it, and a guest that moves its code about leaves nothing behind.
        size = (last_page - first_page + 1) * _PAGE_ENTRIES_SIZE
        discard_memory(self.base + first_page * _PAGE_ENTRIES_SIZE, size)

    @property
    def wide_fpu(self) -> bool:
        """Status.FR, on which entries depend: the caller drops those that exist when it changes this."""
        return self.words.wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        self.words.wide_fpu = wide

    def fill(self, pc: int, word: int) -> None:
        """Decode `word` into the entry of `pc`."""
        ctypes.memmove(self.address(pc), self.words.entry(word), _PACKED_SIZE)
