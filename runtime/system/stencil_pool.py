"""Memory for runs of stencils (`translator.system.stencil_runs`): a part of the code arena, in pools for variants.

Native code takes memory from a pool and never gives it back. A pool that is full is emptied as a whole, in steps, each
of which waits until every vCPU has left native code since the last: nobody writes runs any more; no entry leads to
one any more; nobody runs one any more. Meanwhile tier 0 does without.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from runtime.decoded_words import interpreter_build

if TYPE_CHECKING:
    from runtime.native_code import NativeCode
    from runtime.system.code_variant import Runner

_POOL_SIZE: Final = 24 << 20
"""Bytes: a Linux boot takes half of that."""
_POOLS: Final = 4
AREA_SIZE: Final = _POOLS * _POOL_SIZE


class StencilArea:
    """The stencils of one build of tier 0, and memory for runs of them; on any thread."""

    def __init__(self, native: NativeCode, offset: int, *, big_endian: bool, counts: bool) -> None:
        """`offset`: where AREA_SIZE bytes of the arena are."""
        self._native: Final = native
        self._big_endian, self._counts = big_endian, counts
        self._free: Final = [offset + number * _POOL_SIZE for number in reversed(range(_POOLS))]
        self._lock: Final = Lock()
        self._table: ctypes.Array[ctypes.c_char] | None = None

    def table(self) -> int:
        """Host address of the table of stencils."""
        with self._lock:
            if self._table is None:
                self._table = ctypes.create_string_buffer(self._cached_table())
            return ctypes.addressof(self._table)

    def _cached_table(self) -> bytes:
        native = self._native
        kind = ("counting-" if self._counts else "") + ("big" if self._big_endian else "little")
        name = f"stencils-{kind}-{interpreter_build(native.handlers)}"
        table = native.cache.load(name)
        if table is None:
            from translator.compile import compile_ir
            from translator.system.stencil_cpu import stencils_ir
            from translator.system.stencil_table import stencil_table

            compiled = compile_ir(stencils_ir(self._big_endian, self._counts), codegen_level=2, holes=True)
            table = stencil_table(compiled.object_code, native.handlers)
            native.cache.store(name, table)
        return table

    @property
    def free(self) -> int:
        """Pools that nobody has."""
        return len(self._free)

    def take(self) -> StencilPool | None:
        """A pool; None if there is none left: so many variants there will hardly be at once."""
        with self._lock:
            return StencilPool(self._free.pop()) if self._free else None

    def give_back(self, pool: StencilPool) -> None:
        """Nobody uses a pool any more."""
        self._native.arena.discard(pool.start, _POOL_SIZE)
        with self._lock:
            self._free.append(pool.start)


class StencilPool:
    """Memory for the runs of one variant. Under the machine memory's lock."""

    def __init__(self, start: int) -> None:
        """`start`: its offset in the arena."""
        self.start: Final = start
        self.end: Final = start + _POOL_SIZE
        self._bounds: Final = (ctypes.c_uint32 * 2)(start, self.end)
        self.address: Final = ctypes.addressof(self._bounds)
        """Host address of what native code takes memory by: where the next run begins, and the end."""
        self._inside: list[tuple[Runner, int]] = []
        """vCPUs that have not left native code since the last step, and their phases then."""
        self._steps: list[Callable[[], None]] = []
        """Left until the pool is empty."""

    @property
    def used(self) -> int:
        """Bytes."""
        return min(self._bounds[0], self.end) - self.start

    def empty_if_full(self, runners: list[Runner], forget_runs: Callable[[], None]) -> None:
        """Do a step of emptying it, if it is full; `forget_runs` has no entry lead to one."""
        if not self._steps:
            if self._bounds[0] < self._bounds[1]:
                return
            self._steps = [forget_runs, self._begin_anew]
            self._wait_for(runners)
        self._inside = [(runner, phase) for runner, phase in self._inside if runner.phase == phase]
        if not self._inside:
            self._steps.pop(0)()
            self._wait_for(runners)

    def _wait_for(self, runners: list[Runner]) -> None:
        self._inside = [(runner, runner.phase) for runner in runners if runner.phase & 1]
        for runner, _ in self._inside:
            runner.ask_for_visit()

    def _begin_anew(self) -> None:
        self._bounds[0] = self.start
