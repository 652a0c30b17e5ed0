"""The native routine of `translator.system.page_digests`, as Python calls it: other threads go on meanwhile."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from runtime.code_arena import CodeArena
from runtime.disk_cache import DiskCache
from runtime.native_code import load_or_compile

_ARENA_SIZE: Final = 1 << 16


class PageDigests:
    """One per process."""

    def __init__(self, cache: DiskCache) -> None:
        self._arena: Final = CodeArena(_ARENA_SIZE)
        symbols = load_or_compile("page-digests.o", _ir, self._arena, cache).symbols
        address, count = ctypes.c_uint64, ctypes.c_uint32
        kind = ctypes.CFUNCTYPE(None, address, count, address, address, address, address)
        self.digest_run: Final[Callable[..., Any]] = kind(self._arena.base + symbols["digest_run"])
        """Of pmap's words, their count, host addresses of machine memory and of its users, then two lists."""


def _ir() -> str:
    from translator.system.page_digests import page_digests_ir  # late: seldom needed

    return page_digests_ir()


@cache
def page_digests(use_cache: bool) -> PageDigests:
    """The process's."""
    return PageDigests(DiskCache(enabled=use_cache))
