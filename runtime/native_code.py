"""The native code every vCPU shares: code arena, threaded interpreter, host-fault handlers."""

from __future__ import annotations

import ctypes
import mmap
import zlib
from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from runtime.code_arena import CodeArena
from runtime.disk_cache import DiskCache
from runtime.host_faults import CONSTANTS, FAULT_HANDLER_IR, HostFaults
from runtime.object_loader import LoadedObject, ObjectError, load_object
from translator.state import CpuState

if TYPE_CHECKING:
    from runtime.access_fixups import AccessFixups
    from runtime.system.stencil_pool import StencilArea
    from runtime.worker_process import WorkerProcess


Kind = Literal["interpreter", "profiler", "system", "counting-system"]
"""Of threaded interpreters: for user programs, the same with execution counts, for virtual machines, for those
under the instruction clock."""


_CAPACITY: Final[dict[Kind, int]] = {
    "interpreter": 256 << 20,
    "profiler": 256 << 20,
    "system": 384 << 20,
    "counting-system": 384 << 20,
}
"""Bytes of address space for code. Virtual machines have stencils, too."""


class NativeCode:
    """One per process and byte order: the arena holds the interpreter, room for runs of stencils, and translations."""

    def __init__(self, *, big_endian: bool, cache: DiskCache, kind: Kind) -> None:
        self.arena: Final = CodeArena(_CAPACITY[kind])
        self.cache: Final = cache
        self._start_routine = 0
        self._timer_handler = 0
        self.interpreter: Final = load_or_compile(
            f"{kind}-{'big' if big_endian else 'little'}.o",
            lambda: _interpreter_ir(big_endian, kind),
            self.arena,
            cache,
        )
        assert self.interpreter.symbols["first_handler"] == 0, "handler offset 0 must decode"
        self.handlers: Final = self.interpreter.symbols
        self.handlers_end: Final = self.interpreter.offset + self.interpreter.size
        """Offset behind the handlers …"""
        self.tier_0_end = self.handlers_end
        """… and behind all that belongs to tier 0; regions are further on."""
        self.stencils: StencilArea | None = None
        if kind in ("system", "counting-system"):
            self._make_room_for_stencils(big_endian, counts=kind == "counting-system")
        handler = load_routine("host-faults", FAULT_HANDLER_IR, self.arena, cache).symbols
        self._constants_at = handler[CONSTANTS]
        self.host_faults: Final = HostFaults(self.arena.base + handler["host_fault"])
        enter_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64
        )
        self.enter: Final[Callable[..., int]] = enter_type(self.arena.base + self.handlers["enter"])
        """enter(state, entry, next, bias): run from `entry`; 1 if a host fault ended it."""

    def _make_room_for_stencils(self, big_endian: bool, *, counts: bool) -> None:
        from runtime.system.stencil_pool import AREA_SIZE, StencilArea  # late: programs need none

        block = self.arena.reserve(AREA_SIZE + mmap.PAGESIZE)
        offset = block + -block % mmap.PAGESIZE
        self.tier_0_end = offset + AREA_SIZE
        self.stencils = StencilArea(self, offset, big_endian=big_endian, counts=counts)

    @cached_property
    def fixups(self) -> AccessFixups:
        """Of the arena's code."""
        from runtime.access_fixups import AccessFixups  # late: programs need none

        return AccessFixups(self.arena.capacity)

    def attach(self, state: CpuState) -> None:
        """Catch the host faults of the calling thread for the vCPU of `state`."""
        precise_start = self.arena.base + self.arena.precise_start
        self.arena.write(self._constants_at, self.host_faults.constants(precise_start))
        self.host_faults.bind(state)
        self.host_faults.install()

    def start_process(self, command: list[str]) -> WorkerProcess:
        """A process that the guest does not notice."""
        from runtime import worker_process  # late: most short runs need none

        if not self._start_routine:
            loaded = load_routine("start-worker", worker_process.ROUTINE_IR, self.arena, self.cache)
            self._start_routine = self.arena.base + loaded.symbols[worker_process.ROUTINE]
        return worker_process.WorkerProcess(self._start_routine, command)

    def function(self, name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        """A function of the interpreter's module that Python calls."""
        return ctypes.CFUNCTYPE(result, *parameters)(self.arena.base + self.handlers[name])

    def timer_handler(self) -> int:
        """Host address of the signal handler of virtual machines' timers."""
        from runtime.system import host_timer  # late: programs need none

        if not self._timer_handler:
            loaded = load_routine("host-timer", host_timer.HANDLER_IR, self.arena, self.cache)
            self._timer_handler = self.arena.base + loaded.symbols[host_timer.HANDLER]
        return self._timer_handler

    def is_interpreter(self, host_pc: int) -> bool:
        """Whether `host_pc` lies in a handler of the threaded interpreter."""
        offset = host_pc - self.arena.base
        return self.interpreter.offset <= offset < self.interpreter.offset + self.interpreter.size


@cache
def native_code(big_endian: bool, use_cache: bool = True, profiles: bool = False) -> NativeCode:
    """The process's native code for guests of one byte order; `profiles`: see `handlers_ir`."""
    kind: Kind = "profiler" if profiles else "interpreter"
    return NativeCode(big_endian=big_endian, cache=DiskCache(enabled=use_cache), kind=kind)


@cache
def system_native_code(big_endian: bool, use_cache: bool = True, counts: bool = False) -> NativeCode:
    """The process's native code for virtual machines of one byte order; `counts`: under the instruction clock."""
    kind: Kind = "counting-system" if counts else "system"
    return NativeCode(big_endian=big_endian, cache=DiskCache(enabled=use_cache), kind=kind)


def _interpreter_ir(big_endian: bool, kind: Kind) -> str:
    if kind in ("system", "counting-system"):
        from translator.system.handlers import system_handlers_ir

        return system_handlers_ir(big_endian, counts=kind == "counting-system")
    from translator.handlers import handlers_ir

    return handlers_ir(big_endian, kind == "profiler")


def load_routine(name: str, ir: str, arena: CodeArena, cache: DiskCache) -> LoadedObject:
    """A routine of the runtime's own, which the cache's key knows nothing about: it goes by the IR."""
    return load_or_compile(f"{name}-{zlib.crc32(ir.encode()):08x}.o", lambda: ir, arena, cache)


def load_or_compile(name: str, ir: Callable[[], str], arena: CodeArena, cache: DiskCache) -> LoadedObject:
    """A module of the translator's, which is part of the cache's key."""
    cached = cache.load(name)
    if cached is not None:
        try:
            return load_object(cached, arena, {})
        except ObjectError:
            pass  # from a build that stored something else under this name: compile it again
    from translator.compile import compile_ir

    code = compile_ir(ir(), codegen_level=2).object_code
    cache.store(name, code)
    return load_object(code, arena, {})
