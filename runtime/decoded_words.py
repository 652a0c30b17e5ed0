"""The hash of decoded words, from which native code fills predecoded entries, and its copy on disk.

A record is the entry of a word, with the word where an entry has its counter. A word's record is in the slot that
its hash names or in the other one of that pair; if both are taken it replaces one, and Python will be asked again, or
that is what happens to itself.
"""

from __future__ import annotations

import ctypes
import zlib
from array import array
from collections.abc import Mapping
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
from translator.decode import UNUSABLE_COPROCESSOR, decode, decode_privileged
from translator.float_mode import is_reserved
from translator.predecode import (
    COUNTER_OFFSET,
    DECODE_CACHE_BITS,
    DECODE_HASH_MULTIPLIER,
    ENTRY_SIZE,
    coprocessor_unusable_symbol,
    handler_symbol,
    pack_entry,
    reserved_in_coprocessor_symbol,
)
from translator.system.coprocessor import MISSING_COPROCESSOR, coprocessor_of_reserved

_HASH_SIZE: Final = ENTRY_SIZE << DECODE_CACHE_BITS
_SAVED_WORDS: Final = 1 << 16
"""Words kept on disk, and new ones remembered, at most."""


def interpreter_build(handlers: Mapping[str, int]) -> str:
    """Names one build of tier 0: what holds handler offsets is good for no other."""
    return f"{zlib.crc32(repr(sorted(handlers.items())).encode()):08x}"


class DecodedWords:
    """Word → predecoded entry, for one FPU mode. `key` names what will run: each has a file of its own."""

    def __init__(
        self,
        handlers: dict[str, int],
        cache: DiskCache,
        key: str,
        *,
        wide_fpu: bool,
        for_native_code: bool,
        privileged: bool = False,
    ) -> None:
        self._handlers = handlers
        self._cache = cache
        self._key = key
        self._privileged = privileged
        """Whether privileged instructions are decoded as such."""
        self._for_native_code = for_native_code
        """Whether native code may fill entries from the hash, without a stop."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self.address: Final = map_memory(0, _HASH_SIZE, PROT_READ | PROT_WRITE, flags)
        """Host address of the hash."""
        self.count = 0
        """How many words had to be decoded as the disk cache did not know them."""
        self._wide_fpu = wide_fpu
        self._fresh: dict[int, bytes] = {}
        self._saved: dict[int, bytes] = {}
        self._load()

    def close(self) -> None:
        """Save what is new and unmap the hash."""
        self.save()
        unmap_memory(self.address, _HASH_SIZE)

    @property
    def wide_fpu(self) -> bool:
        """Status.FR, on which entries depend."""
        return self._wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        self.save()
        discard_memory(self.address, _HASH_SIZE)
        self._wide_fpu = wide
        self._load()

    def entry(self, word: int) -> bytes:
        """The entry of `word`, which native code can find from now on if it may."""
        entry = self._saved.get(word) or self._fresh.get(word)
        if entry is None:
            if len(self._fresh) >= _SAVED_WORDS:
                self._fresh.clear()  # a guest that makes up instructions without end
            entry = self._fresh[word] = self._decoded(word)
            self.count += 1
        if self._for_native_code:
            self._publish(word, entry)
        return entry

    def _publish(self, word: int, entry: bytes) -> None:
        """Put a record in one of its pair of slots, a free one if there is one. What tells that it is taken comes last.

        Records of virtual machines stay, as others may be reading them.
        """
        for at in self._slots(word):
            handler, known = (ctypes.c_uint32.from_address(at + place) for place in (0, COUNTER_OFFSET))
            if not handler.value or known.value == word:
                break
        else:
            if self._privileged:
                return
        ctypes.memmove(at + 4, entry[4:COUNTER_OFFSET], COUNTER_OFFSET - 4)
        known.value = word
        handler.value = int.from_bytes(entry[:4], "little")

    def _slots(self, word: int) -> tuple[int, int]:
        """Host addresses of the two places of a word's record."""
        slot = (word * DECODE_HASH_MULTIPLIER & 0xFFFF_FFFF) >> (32 - DECODE_CACHE_BITS)
        return self.address + (slot ^ 1) * ENTRY_SIZE, self.address + slot * ENTRY_SIZE

    def _decoded(self, word: int) -> bytes:
        instruction = decode_privileged(word) if self._privileged else decode(word)
        if instruction is None or is_reserved(instruction.encoding, word, self._wide_fpu):
            handler = self._handlers[self._reserved_symbol(word)]
            return handler.to_bytes(4, "little") + bytes(ENTRY_SIZE - 4)
        encoding = instruction.encoding
        handler = self._handlers[handler_symbol(encoding.mnemonic)]
        return pack_entry(word, encoding, handler, 2 if self._wide_fpu else 1)

    def _reserved_symbol(self, word: int) -> str:
        """The handler of a word that is no instruction."""
        if self._privileged:
            coprocessor = coprocessor_of_reserved(word)
            if coprocessor is None:
                return "reserved_instruction"
            if coprocessor == MISSING_COPROCESSOR:
                return coprocessor_unusable_symbol(coprocessor)
            return reserved_in_coprocessor_symbol(coprocessor)
        unusable = UNUSABLE_COPROCESSOR.get(word >> 26)
        return "reserved_instruction" if unusable is None else coprocessor_unusable_symbol(unusable)

    def _name(self) -> str:
        build, program = interpreter_build(self._handlers), zlib.crc32(self._key.encode())
        return f"words-{'wide' if self._wide_fpu else 'narrow'}-{build}-{program:08x}"

    def save(self) -> None:
        """Have later runs know what is new."""
        if not self._fresh:
            return
        self._saved = known = self._saved | self._fresh
        self._fresh = {}
        words = array("I", list(known)[-_SAVED_WORDS:])
        self._cache.store(self._name(), words.tobytes() + b"".join(known[word] for word in words))

    def _load(self) -> None:
        """Fill the hash with what earlier runs have decoded."""
        data = self._cache.load(self._name()) or b""
        count = len(data) // (4 + ENTRY_SIZE)
        words, entries = array("I", data[: 4 * count]), data[4 * count :]
        self._saved = {
            word: entries[at : at + ENTRY_SIZE]
            for word, at in zip(words, range(0, len(entries), ENTRY_SIZE), strict=True)
        }
        if not self._for_native_code:
            return
        shift, taken = 32 - DECODE_CACHE_BITS, set()
        table = (
            memoryview((ctypes.c_uint32 * (_HASH_SIZE // 4)).from_address(self.address)).cast("B").cast("I")
        )
        fields = memoryview(entries).cast("I")
        for number, word in enumerate(words):
            slot = (word * DECODE_HASH_MULTIPLIER & 0xFFFF_FFFF) >> shift
            if slot in taken:
                slot ^= 1
            taken.add(slot)
            table[4 * slot : 4 * slot + 3] = fields[4 * number : 4 * number + 3]
            table[4 * slot + 3] = word
