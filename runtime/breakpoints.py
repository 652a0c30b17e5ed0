"""Addresses at which a vCPU stops before it executes what is there.

A breakpoint is planted in the predecoded entry of its address, whose handler becomes the one that stops. It lives
through everything that empties entries, and no translated region may contain its address while it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from runtime.address_space import PAGE_SHIFT
from runtime.entry_table import EntryTable
from runtime.translations import Translations

_UNDECODED: Final = 0


class Breakpoints:
    """The breakpoints of one vCPU; `handler` is the offset of the handler that stops."""

    def __init__(self, entries: EntryTable, translations: Translations, handler: int) -> None:
        self._entries = entries
        self._translations = translations
        self._handler = handler
        self.addresses: frozenset[int] = frozenset()

    def stop_at(self, addresses: frozenset[int]) -> None:
        """Have breakpoints at exactly these addresses."""
        if addresses == self.addresses:
            return
        for pc in self.addresses - addresses:
            self._entries.set_handler(pc, _UNDECODED)
        self.addresses = addresses
        self._translations.avoid(addresses)
        self._plant(addresses)

    def replant(self, first_page: int, last_page: int) -> None:
        """The entries of these pages have been emptied."""
        self._plant({pc for pc in self.addresses if first_page <= pc >> PAGE_SHIFT <= last_page})

    @contextmanager
    def lifted(self, pc: int) -> Iterator[None]:
        """While this lasts, the instruction at `pc` can be executed."""
        self._entries.set_handler(pc, _UNDECODED)
        try:
            yield
        finally:
            self._plant({pc})

    def _plant(self, addresses: frozenset[int] | set[int]) -> None:
        for pc in addresses:
            self._entries.set_handler(pc, self._handler)
