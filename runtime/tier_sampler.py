"""How the time in native code is shared between the tiers, by samples of where the program counter is.

A clock read at every change of tier would cost more than some regions take. So a timer on the thread's processor
time sends a signal every now and then, and its handler, LLVM IR, looks where native code was interrupted.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from typing import Final

from runtime.code_arena import CodeArena
from runtime.disk_cache import DiskCache
from runtime.host_signals import CONTEXT_PROGRAM_COUNTER
from runtime.native_code import NativeCode, load_routine
from runtime.posix_timer import PosixTimer
from runtime.signal_actions import SignalActions

_SIGNAL: Final = int(signal.SIGSTKFLT)
"""A signal that Linux never sends, and that MIPS, whose signals the guest gets from the host, does not have."""
_INTERVAL: Final = 1_000_000
"""Nanoseconds between samples; the host's timer ticks make it more."""

_HANDLER_IR: Final = f"""\
@sample_record = dso_local global ptr null

define void @note_sample(i32 %signal, ptr %info, ptr %context) nounwind {{
  %record = load ptr, ptr @sample_record
  %rip.at = getelementptr i8, ptr %context, i64 {CONTEXT_PROGRAM_COUNTER}
  %rip = load i64, ptr %rip.at
  %start = load i64, ptr %record
  %offset = sub i64 %rip, %start
  %interpreter.at = getelementptr i64, ptr %record, i64 1
  %interpreter = load i64, ptr %interpreter.at
  %in_interpreter = icmp ult i64 %offset, %interpreter
  %arena.at = getelementptr i64, ptr %record, i64 2
  %arena = load i64, ptr %arena.at
  %in_arena = icmp ult i64 %offset, %arena
  %elsewhere = select i1 %in_arena, i64 4, i64 5
  %counter = select i1 %in_interpreter, i64 3, i64 %elsewhere
  %counter.at = getelementptr i64, ptr %record, i64 %counter
  %before = load i64, ptr %counter.at
  %after = add i64 %before, 1
  store i64 %after, ptr %counter.at
  ret void
}}
"""


class _Record(ctypes.Structure):
    """What the handler reads and counts; it knows the fields by their places."""

    _fields_ = [
        ("start", ctypes.c_uint64),
        ("interpreter_size", ctypes.c_uint64),
        ("arena_size", ctypes.c_uint64),
        ("in_interpreter", ctypes.c_uint64),
        ("in_regions", ctypes.c_uint64),
        ("elsewhere", ctypes.c_uint64),
    ]


class TierSampler:
    """Samples the calling thread from now on until `stop`."""

    def __init__(self, native: NativeCode, *, use_cache: bool = True) -> None:
        cache = DiskCache(enabled=use_cache)
        self._arena: Final = CodeArena(1 << 14)
        symbols = load_routine("tier-sampler", _HANDLER_IR, self._arena, cache).symbols
        assert native.interpreter.offset == 0, "it was the first in the arena"
        self._record: Final = _Record(native.arena.base, native.interpreter.size, native.arena.capacity)
        self._arena.write(symbols["sample_record"], ctypes.addressof(self._record).to_bytes(8, "little"))
        self._actions: Final = SignalActions()
        self._actions.set(_SIGNAL, self._arena.base + symbols["note_sample"], restart=True)
        thread = threading.get_native_id()
        self._timer: Final = PosixTimer(_SIGNAL, 0, clock=time.CLOCK_THREAD_CPUTIME_ID, thread=thread)
        self._timer.repeat(_INTERVAL)

    def stop(self) -> None:
        """Take no more samples."""
        self._timer.close()
        signal.sigtimedwait({_SIGNAL}, 0)  # one that may be pending, if the guest has blocked everything
        self._actions.restore(_SIGNAL)

    @property
    def samples(self) -> int:
        """How many fell into native code."""
        return int(self._record.in_interpreter + self._record.in_regions)

    @property
    def interpreter_share(self) -> float | None:
        """What part of them fell into the interpreter; None if there are none."""
        return self._record.in_interpreter / self.samples if self.samples else None
