"""Sampled accesses by machine page and node, of a machine with several nodes: see `translator.system.access_counts`.

For each page of 4 KB there are 2 bytes for each node, and one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Final

from runtime.flat_array import words_in_use
from runtime.system.page_routines import PageRoutines
from translator.system.memory_map import COUNT_SHIFT, MemoryMap

_WORD: Final = 8


class AccessCounts:
    """The arrays, which the machine's `memmap` is told of. Counts go up while vCPUs run; the rest is for one thread."""

    def __init__(self, memory_map: MemoryMap, pages: int, routines: PageRoutines) -> None:
        self._map: Final = memory_map
        self._map_address: Final = ctypes.addressof(memory_map)
        self._routines: Final = routines
        words = -(-(pages << COUNT_SHIFT) // _WORD)
        self._node_size: Final = words * _WORD
        self._words: Final = words * memory_map.nodes
        self._counts: Final = (ctypes.c_uint8 * (self._words * _WORD))()
        self._moves_words: Final = -(-pages // _WORD)
        self.moves: Final = (ctypes.c_uint8 * (self._moves_words * _WORD))()
        """How often each page has moved, at most 255; halved now and then."""
        self._pairs: Final = memoryview(self._counts).cast("B").cast("H")
        """A page's two counts on a node as one number, stores in the upper half."""
        self._pairs_of_node: Final = self._node_size // 2
        self._none: Final = memoryview(bytes(2 * memory_map.nodes)).cast("H")
        memory_map.counts = ctypes.addressof(self._counts)
        memory_map.counts_size = self._node_size
        memory_map.moves = ctypes.addressof(self.moves)

    def address(self, node: int) -> int:
        """Host address of what a vCPU on a node counts in."""
        return ctypes.addressof(self._counts) + node * self._node_size

    def of_page(self, page: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of each node loads and fetches, and stores."""
        pairs = self._pairs[page :: self._pairs_of_node]
        return tuple([pair & 0xFF for pair in pairs]), tuple([pair >> 8 for pair in pairs])

    def in_use(self) -> Iterator[int]:
        """Pages with counts or moves."""
        yield from (page for page, _ in words_in_use(self.moves))
        for at, _ in words_in_use(self._counts):
            yield at % self._node_size >> COUNT_SHIFT

    def forget(self, page: int) -> None:
        """A page's counts begin anew."""
        self._pairs[page :: self._pairs_of_node] = self._none

    def has_moved(self, page: int, before: int) -> None:
        """What was page `before` is `page` now, or has a copy there."""
        self.moves[page] = min(self.moves[before] + 1, 0xFF)

    def hot(self, trigger: int, most: int) -> list[int]:
        """Pages with at least `trigger` accesses from other nodes, `most` of them."""
        entries = (ctypes.c_uint32 * most)()
        count = self._routines.hot_pages(self._map_address, ctypes.addressof(entries), most, trigger)
        return [entry - 1 for entry in entries[:count]]

    def halve(self) -> None:
        """Let what was long ago count less."""
        self._routines.halve_bytes(ctypes.addressof(self._counts), self._words)

    def halve_moves(self) -> None:
        """The same for moves."""
        self._routines.halve_bytes(ctypes.addressof(self.moves), self._moves_words)

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return ctypes.sizeof(self._counts) + ctypes.sizeof(self.moves)
