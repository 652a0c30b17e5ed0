"""The native routines of `translator.system.page_mapping`, as Python calls them.

A call does not give up the interpreter's lock: to all other Python threads it happens at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Final

from runtime.code_arena import CodeArena
from runtime.disk_cache import DiskCache
from runtime.native_code import load_or_compile

_ARENA_SIZE: Final = 1 << 16
_ADDRESS: Final = ctypes.c_uint64
_NUMBER: Final = ctypes.c_uint32

EntryList = ctypes.Array[ctypes.c_uint32]
"""Machine pages: their numbers + 1, or 0 for none."""


class PageRoutines:
    """One per process. Counts are at least 1; see `page_mapping` for what each does."""

    def __init__(self, cache: DiskCache) -> None:
        self._arena: Final = CodeArena(_ARENA_SIZE)
        self._symbols: Final = load_or_compile("page-mapping.o", _ir, self._arena, cache).symbols
        self.allocate: Final = self._function("allocate", _ADDRESS, _NUMBER, _NUMBER)
        self.release: Final = self._function("release", _ADDRESS, _NUMBER)
        self.allocate_run: Final = self._function(
            "allocate_run", _ADDRESS, _NUMBER, _ADDRESS, _NUMBER, _NUMBER
        )
        self.release_run: Final = self._function("release_run", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.touch_run: Final = self._function("touch_run", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.map_run: Final = self._function(
            "map_run", _ADDRESS, _ADDRESS, _NUMBER, _ADDRESS, _NUMBER, _NUMBER
        )
        self.unmap_run: Final = self._function("unmap_run", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.count_shared: Final = self._function("count_shared", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)

        self.migrate_run: Final = self._function(
            "migrate_run", _ADDRESS, _ADDRESS, _ADDRESS, _NUMBER, _NUMBER
        )
        self.copy_page: Final = self._function("copy_page", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.copy_run: Final = self._function("copy_run", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.copy_changed: Final = self._function("copy_changed", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.exchange_run: Final = self._function("exchange_run", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.hot_pages: Final = self._function("hot_pages", _ADDRESS, _ADDRESS, _NUMBER, _NUMBER)
        self.halve_bytes: Final = self._function("halve_bytes", _ADDRESS, _NUMBER)
        self.cool_entries: Final = self._function("cool_entries", _ADDRESS, _NUMBER)
        self.forget_runs: Final = self._function("forget_runs", _ADDRESS, _NUMBER, _NUMBER, _NUMBER)

    def _function(
        self, name: str, *parameters: type[ctypes.c_uint64 | ctypes.c_uint32]
    ) -> Callable[..., int]:
        address = self._arena.base + self._symbols[name]
        return ctypes.PYFUNCTYPE(_NUMBER, *parameters)(address)


def _ir() -> str:
    from translator.system.page_mapping import page_mapping_ir  # late: seldom needed

    return page_mapping_ir()


@cache
def page_routines(use_cache: bool) -> PageRoutines:
    """The process's."""
    return PageRoutines(DiskCache(enabled=use_cache))
