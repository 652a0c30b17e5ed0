"""Large pages of the host for machine memory, before they are needed.

The host clears a large page when it backs memory with it, in a fifth of a millisecond; where the host is a virtual
machine itself, and has to be given the memory first, that takes five. Native code allocates machine pages one behind
the other (`translator.system.page_mapping`), and rings when it has begun a large page: a thread then has the next ones
backed.
"""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT
from runtime.host_memory import collapse_memory, populate_memory
from translator.system.memory_map import LARGE_PAGE_SIZE, MemoryMap

_AHEAD: Final = 4
"""Large pages of a node that are ready, with nothing allocated yet."""
_COUNTER_SIZE: Final = 8
"""Bytes that a read of an eventfd gives."""
_PAGES: Final = LARGE_PAGE_SIZE >> MACHINE_PAGE_SHIFT


class LargePagesAhead:
    """Of one machine. Until `close`, nobody may unmap its memory."""

    def __init__(self, memory_map: MemoryMap) -> None:
        self._map: Final = memory_map
        self._bell: Final = os.eventfd(0, os.EFD_CLOEXEC)
        self._nodes: Final[set[int]] = set()
        """That are about to be used."""
        self._backed: Final[set[int]] = set()
        """Numbers of large pages that the thread has seen to."""
        self._is_closing = False
        memory_map.bell = self._bell
        self._thread: Final = Thread(target=self._serve, name="dbt-disco-large-pages", daemon=True)
        self._thread.start()

    def expect_use(self, node: int) -> None:
        """Memory of a node is going to be allocated."""
        if node not in self._nodes:
            self._nodes.add(node)
            os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End the thread."""
        self._is_closing = True
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._map.bell = -1
        os.close(self._bell)

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGSEGV, signal.SIGBUS})
        while True:
            os.read(self._bell, _COUNTER_SIZE)
            for node in range(self._map.nodes):
                self._back(node)
            if self._is_closing:
                return

    def _back(self, node: int) -> None:
        first, untouched = node * self._map.node_pages, int(self._map.untouched[node])
        if not untouched and node not in self._nodes:
            return
        following = -(-(first + untouched) // _PAGES)
        end = (first + self._map.node_pages) // _PAGES
        for number in range(following, min(following + _AHEAD, end)):
            if self._is_closing:
                return
            if number not in self._backed:
                self._backed.add(number)
                host = self._map.machine_base + number * LARGE_PAGE_SIZE
                populate_memory(host, 1 << MACHINE_PAGE_SHIFT)  # a part has to be there
                collapse_memory(host, LARGE_PAGE_SIZE)
