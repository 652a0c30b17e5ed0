"""The timer of a host thread that takes the processor away from a vCPU when its time is up.

Its signal's handler, LLVM IR, asks the vCPU that the thread runs then to stop; nothing of it is Python.
"""

from __future__ import annotations

import ctypes
import signal
from threading import get_native_id
from typing import TYPE_CHECKING, Final

from runtime.native_code import load_routine
from runtime.posix_timer import SIGNAL_VALUE_OFFSET, PosixTimer
from runtime.signal_actions import SignalActions
from translator.state import OFFSET

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

SIGNAL: Final = signal.SIGRTMIN + 7

_HANDLER: Final = "preempt"
_HANDLER_IR: Final = f"""\
define void @{_HANDLER}(i32 %signal, ptr %info, ptr %context) nounwind {{
  %value.at = getelementptr i8, ptr %info, i64 {SIGNAL_VALUE_OFFSET}
  %running.at = load ptr, ptr %value.at
  %state = load volatile ptr, ptr %running.at
  %none = icmp eq ptr %state, null
  br i1 %none, label %done, label %stop
stop:
  %requested = getelementptr i8, ptr %state, i64 {OFFSET["stop_requested"]}
  store atomic i32 1, ptr %requested seq_cst, align 4
  %limit = getelementptr i8, ptr %state, i64 {OFFSET["limit"]}
  store atomic i64 0, ptr %limit seq_cst, align 8
  br label %done
done:
  ret void
}}
"""


_actions: Final = SignalActions()


class PreemptionTimer:
    """Of the thread that makes it, which must not block SIGNAL while it runs native code."""

    def __init__(self, native: NativeCode) -> None:
        """The handler is loaded into the arena of `native`. OSError if the host has no timer left."""
        loaded = load_routine("preemption", _HANDLER_IR, native.arena, native.cache)
        _actions.set(SIGNAL, native.arena.base + loaded.symbols[_HANDLER], restart=True)
        self._running = ctypes.c_uint64()
        self._timer: Final = PosixTimer(SIGNAL, ctypes.addressof(self._running), thread=get_native_id())

    @property
    def running_at(self) -> int:
        """Host address of what `runs` sets, for native routines."""
        return ctypes.addressof(self._running)

    @property
    def is_running(self) -> bool:
        """Whether the thread runs a vCPU; on any thread."""
        return bool(self._running.value)

    @property
    def id(self) -> int:
        """What timer_settime(2) knows it by."""
        return self._timer.id

    def runs(self, state_address: int) -> None:
        """From now on the thread runs the vCPU whose state is there (0: none, and the timer does nothing)."""
        self._running.value = state_address

    def set(self, time: int) -> None:
        """Expire at a time of `time.monotonic_ns`, instead of any other; on any thread, one at a time."""
        self._timer.expire_at(time)

    def close(self) -> None:
        """No signal comes any more."""
        self._timer.close()
