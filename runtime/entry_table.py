"""The predecoded entries of a guest address space, and the hash of decoded words that fills them natively."""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.host_memory import (
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    map_memory,
    unmap_memory,
)
from translator.decode import decode
from translator.encoding import Encoding
from translator.predecode import (
    COUNTER_OFFSET,
    DECODE_CACHE_BITS,
    DECODE_HASH_MULTIPLIER,
    DECODE_RECORD_SIZE,
    ENTRY_SIZE,
    handler_symbol,
    pack_entry,
)

_PAGE_ENTRIES_SIZE: Final = 1024 * ENTRY_SIZE
_TABLE_SIZE: Final = (1 << 30) * ENTRY_SIZE + (1 << 16)
_DECODE_CACHE_SIZE: Final = DECODE_RECORD_SIZE << DECODE_CACHE_BITS
_COP2_OPCODES: Final = frozenset({0x12, 0x32, 0x36, 0x3A, 0x3E})
_PACKED_SIZE: Final = COUNTER_OFFSET
"""Bytes of an entry that decoding sets; the counter behind them lives on."""


class EntryTable:
    """Entries of every instruction of a 4 GiB address space, in a lazily touched reservation of 16 GiB."""

    def __init__(self, handlers: dict[str, int], *, wide_fpu: bool) -> None:
        self._handlers = handlers
        self.wide_fpu = wide_fpu
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.base: Final = map_memory(0, _TABLE_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the entry of guest address 0."""
        self.decode_cache: Final = map_memory(0, _DECODE_CACHE_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the hash of decoded words."""
        self.words_decoded = 0

    def close(self) -> None:
        """Unmap everything."""
        unmap_memory(self.base, _TABLE_SIZE)
        unmap_memory(self.decode_cache, _DECODE_CACHE_SIZE)

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
        size = (last_page - first_page + 1) * _PAGE_ENTRIES_SIZE
        ctypes.memset(self.base + first_page * _PAGE_ENTRIES_SIZE, 0, size)

    def forget_decoded_words(self) -> None:
        """Drop the hash, as entries would come out differently now (FPU mode)."""
        ctypes.memset(self.decode_cache, 0, _DECODE_CACHE_SIZE)

    def fill(self, pc: int, word: int) -> None:
        """Decode `word` into the entry of `pc`, and let native code do so for other addresses."""
        entry = self._entry_of(word)
        ctypes.memmove(self.address(pc), entry, _PACKED_SIZE)
        record = (word * DECODE_HASH_MULTIPLIER & 0xFFFF_FFFF) >> (32 - DECODE_CACHE_BITS)
        at = self.decode_cache + record * DECODE_RECORD_SIZE
        ctypes.memmove(at + 16, entry, ENTRY_SIZE)
        ctypes.c_uint64.from_address(at).value = 1 << 32 | word
        self.words_decoded += 1

    def _entry_of(self, word: int) -> bytes:
        instruction = decode(word)
        if instruction is None or self._is_reserved_register(word, instruction.encoding):
            unusable = word >> 26 in _COP2_OPCODES
            handler = self._handlers["coprocessor_2_unusable" if unusable else "reserved_instruction"]
            return handler.to_bytes(4, "little") + bytes(ENTRY_SIZE - 4)
        encoding = instruction.encoding
        handler = self._handlers[handler_symbol(encoding.mnemonic)]
        return pack_entry(word, encoding, handler, 2 if self.wide_fpu else 1)

    def _is_reserved_register(self, word: int, encoding: Encoding) -> bool:
        """With FR=0 a doubleword lives in an even register only."""
        if self.wide_fpu:
            return False
        from translator.dataflow import dataflow

        fields = dataflow(encoding).register_fields("fpr64")
        return any(encoding.field(word, name) & 1 for name in fields)
