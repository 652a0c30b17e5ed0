"""The entries that native code has found empty, and cannot fill by its own table: Python decodes them, for one vCPU."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final, Literal

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.decoded_words import DecodedWords
from runtime.system.code_variant import CodeVariant, write_entry
from runtime.system.physical_memory import PhysicalMemory
from translator.decode import lookup_privileged
from translator.encoding import Flow
from translator.predecode import OPERANDS_OFFSET
from translator.state import CpuState
from translator.system.views import ENTRIES_SHIFT

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

_DECODED_AHEAD: Final = 32
"""Instructions decoded at one stop."""
_ADDRESS_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF


class EntryFiller:
    """Entries of the variant in use, and of others that are asked for."""

    def __init__(
        self,
        state: CpuState,
        memory: PhysicalMemory,
        native: NativeCode,
        program_key: str,
        *,
        big_endian: bool,
    ) -> None:
        """`program_key` names what runs: words decoded by earlier runs of it come from the disk cache. `use` comes
        next."""
        self._state: Final = state
        self._machine: Final = memory.machine
        self._native: Final = native
        self._program_key: Final = program_key
        self._byte_order: Final[Literal["big", "little"]] = "big" if big_endian else "little"
        self.words_decoded = 0
        """Distinct words that had to be decoded as neither the disk cache nor another virtual machine knew them."""

    def use(self, variant: CodeVariant) -> None:
        """From now on this is the variant in use."""
        self._variant = variant
        self._words = self._words_of(variant)
        self._state.decode_cache = self._words.address
        self._state.told_handler = 0
        self._state.decode_table = variant.decode_table

    def save(self) -> None:
        """Keep what has been decoded, for later runs. Under the machine memory's lock."""
        self._words.save()

    def current_word(self) -> int:
        """The instruction word at pc."""
        return int.from_bytes(self._code_at(self._current_entry(), self._variant, 1), self._byte_order)

    def fill_current(self) -> None:
        """Fill the entry of pc, and more as far as straight-line code goes on its page."""
        entry = self._current_entry()
        code = self._code_at(entry, self._variant, _DECODED_AHEAD)
        is_slot = False
        for at in range(0, len(code), 4):
            here = entry + 4 * at
            word = int.from_bytes(code[at : at + 4], self._byte_order)
            if ctypes.c_uint32.from_address(here).value:
                if not at:  # the tier-0 handler that a region's has replaced
                    self._tell_handler(word)
                break
            with self._machine.lock:
                write_entry(here, self._decoded(word))
            encoding = lookup_privileged(word)
            if is_slot or encoding is None or encoding.flow is Flow.EXCEPTION:
                break
            is_slot = encoding.flow.has_delay_slot

    def fill(self, entry: int, variant: CodeVariant) -> None:
        """Fill one entry of a variant, known by its host address. Under the machine memory's lock."""
        word = int.from_bytes(self._code_at(entry, variant, 1), self._byte_order)
        write_entry(entry, self._words_of(variant).entry(word))

    def _words_of(self, variant: CodeVariant) -> DecodedWords:
        return self._machine.decoded.words(variant.key, self._native, self._program_key)

    def _current_entry(self) -> int:
        """Host address of the predecoded entry of pc, whose page is the one being executed."""
        return int(self._state.entries_base) + 4 * int(self._state.pc) & _ADDRESS_MASK

    def _code_at(self, entry: int, variant: CodeVariant, count: int) -> bytes:
        """The code of up to `count` instructions from an entry, as far as its page goes."""
        distance = entry - variant.entries_base
        page, offset = distance >> ENTRIES_SHIFT, (distance & (1 << ENTRIES_SHIFT) - 1) >> 2
        size = min(4 * count, MACHINE_PAGE_SIZE - offset)
        return ctypes.string_at(self._machine.address(page) + offset, size)

    def _tell_handler(self, word: int) -> None:
        """Have native code know the tier-0 handler of a word, also if it has no place in the hash."""
        with self._machine.lock:
            contents = self._decoded(word)
        self._state.told_word = word
        self._state.told_handler = int.from_bytes(contents[:OPERANDS_OFFSET], "little")

    def _decoded(self, word: int) -> bytes:
        before = self._words.count
        contents = self._words.entry(word)
        self.words_decoded += self._words.count - before
        return contents
