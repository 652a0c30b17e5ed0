"""The predecoded entries of a guest address space, and the hash of decoded words that fills them natively."""

from __future__ import annotations

import ctypes
import struct
import zlib
from array import array
from typing import Final

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
from translator.decode import decode
from translator.float_mode import is_reserved
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


_RecordBytes = ctypes.c_uint8 * DECODE_RECORD_SIZE
_RECORD: Final = struct.Struct("<IIQ")
"""What stands before the entry in a record of the hash."""
_SLOT_SIZE: Final = 4
_SAVED_WORDS: Final = 1 << 16


def _slot(word: int) -> int:
    """Where the hash has its record of `word`, if not in the other slot of the pair, `_slot(word) ^ 1`."""
    return (word * DECODE_HASH_MULTIPLIER & 0xFFFF_FFFF) >> (32 - DECODE_CACHE_BITS)


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
        self._program_key = program_key
        self._handlers = handlers
        self._wide_fpu = wide_fpu
        self._cache = cache
        self._decodes_natively = decodes_natively
        """Whether native code may fill entries from the hash, without a stop."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.base: Final = map_memory(0, _TABLE_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the entry of guest address 0."""
        self.decode_cache: Final = map_memory(0, _DECODE_CACHE_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the hash of decoded words."""
        self.words_decoded = 0
        """How many the disk cache did not know."""
        self._fresh: dict[int, bytes] = {}
        self._load_words()

    def close(self) -> None:
        """Save the decoded words and unmap everything."""
        self.save_words()
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
        # Giving the memory back zeroes it, and a guest that moves its code about leaves nothing behind.
        size = (last_page - first_page + 1) * _PAGE_ENTRIES_SIZE
        discard_memory(self.base + first_page * _PAGE_ENTRIES_SIZE, size)

    @property
    def wide_fpu(self) -> bool:
        """Status.FR, on which entries depend: the caller drops those that exist when it changes this."""
        return self._wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        self.save_words()
        self._wide_fpu = wide
        ctypes.memset(self.decode_cache, 0, _DECODE_CACHE_SIZE)
        self._load_words()

    def save_words(self) -> None:
        """Keep the decoded words for the next run."""
        if not self._fresh:
            return
        known = self._known_entries() | self._fresh
        self._fresh = {}
        words = list(known)[-_SAVED_WORDS:]
        records = b"".join(_RECORD.pack(word, 1, 0) + known[word] for word in words)
        slots: dict[int, int] = {}
        for word in words:
            slot = _slot(word)
            slots[slot ^ 1 if slot in slots else slot] = word
        by_word = {word: slot for slot, word in slots.items()}
        places = array("I", (by_word.get(word, _slot(word)) for word in words))
        self._cache.store(self._words_name(), places.tobytes() + records)

    def _load_words(self) -> None:
        """Fill the hash with what earlier runs have decoded."""
        data = self._cache.load(self._words_name()) or b""
        count = len(data) // (_SLOT_SIZE + DECODE_RECORD_SIZE)
        slots, self._saved = array("I", data[: count * _SLOT_SIZE]), data[count * _SLOT_SIZE :]
        self._known: dict[int, bytes] | None = None
        records = (_RecordBytes * count).from_buffer_copy(self._saved)
        if not self._decodes_natively:
            return
        table = (_RecordBytes * (1 << DECODE_CACHE_BITS)).from_address(self.decode_cache)
        for slot, record in zip(slots, records, strict=True):
            table[slot] = record

    def _known_entries(self) -> dict[int, bytes]:
        """What earlier runs have decoded; of two words with one slot in the hash, only one is there."""
        if self._known is None:
            size, saved = DECODE_RECORD_SIZE, self._saved
            words = memoryview(saved).cast("I")[:: size // 4] if saved else ()
            entries = (saved[at - ENTRY_SIZE : at] for at in range(size, len(saved) + 1, size))
            self._known = dict(zip(words, entries, strict=True))
        return self._known

    def _words_name(self) -> str:
        """Records hold handler offsets, so they are good for one build of the interpreter only."""
        handlers = zlib.crc32(repr(sorted(self._handlers.items())).encode())
        program = zlib.crc32(self._program_key.encode())
        return f"words-{'wide' if self._wide_fpu else 'narrow'}-{handlers:08x}-{program:08x}"

    def fill(self, pc: int, word: int) -> None:
        """Decode `word` into the entry of `pc`, and let native code do so for other addresses if it may."""
        entry = self._known_entries().get(word) or self._fresh.get(word)
        if entry is None:
            if len(self._fresh) >= _SAVED_WORDS:
                self._fresh.clear()  # a guest that makes up instructions without end
            entry = self._fresh[word] = self._entry_of(word)
            self.words_decoded += 1
        ctypes.memmove(self.address(pc), entry, _PACKED_SIZE)
        if not self._decodes_natively:
            return
        at = self.decode_cache + self._free_slot(word) * DECODE_RECORD_SIZE
        ctypes.memmove(at, _RECORD.pack(word, 1, 0) + entry, DECODE_RECORD_SIZE)

    def _free_slot(self, word: int) -> int:
        """The slot of the hash for `word`: of the pair, one that is free if there is one."""
        slot = _slot(word)
        is_taken = ctypes.c_uint64.from_address(self.decode_cache + slot * DECODE_RECORD_SIZE).value
        return slot ^ 1 if is_taken else slot

    def _entry_of(self, word: int) -> bytes:
        instruction = decode(word)
        if instruction is None or is_reserved(instruction.encoding, word, self.wide_fpu):
            unusable = word >> 26 in _COP2_OPCODES
            handler = self._handlers["coprocessor_2_unusable" if unusable else "reserved_instruction"]
            return handler.to_bytes(4, "little") + bytes(ENTRY_SIZE - 4)
        encoding = instruction.encoding
        handler = self._handlers[handler_symbol(encoding.mnemonic)]
        return pack_entry(word, encoding, handler, 2 if self.wide_fpu else 1)
