"""The timer of a host thread that takes the processor away from a vCPU when its time is up.

Its signal's handler, LLVM IR, asks the vCPU that the thread runs then to stop; nothing of it is Python.
"""

from __future__ import annotations

import ctypes
import os
import signal
from threading import get_native_id
from typing import TYPE_CHECKING, Final

from runtime.native_code import load_routine
from runtime.signal_actions import SignalActions
from translator.state import OFFSET

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

SIGNAL: Final = signal.SIGRTMIN + 7
_VALUE: Final = 24
"""Offset of si_value in siginfo_t of a timer."""
_SIGEV_THREAD_ID: Final = 4
_TIMER_ABSTIME: Final = 1
_SECOND: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1

_HANDLER: Final = "preempt"
_HANDLER_IR: Final = f"""\
define void @{_HANDLER}(i32 %signal, ptr %info, ptr %context) nounwind {{
  %value.at = getelementptr i8, ptr %info, i64 {_VALUE}
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


class _SignalEvent(ctypes.Structure):
    """struct sigevent of Linux."""

    _fields_ = [
        ("value", ctypes.c_uint64),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_uint8 * 44),
    ]


_actions: Final = SignalActions()
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.timer_create.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_delete.argtypes = [ctypes.c_void_p]


class PreemptionTimer:
    """Of the thread that makes it, which must not block SIGNAL while it runs native code."""

    def __init__(self, native: NativeCode) -> None:
        """The handler is loaded into the arena of `native`. OSError if the host has no timer left."""
        loaded = load_routine("preemption", _HANDLER_IR, native.arena, native.cache)
        _actions.set(SIGNAL, native.arena.base + loaded.symbols[_HANDLER], restart=True)
        self._running = ctypes.c_uint64()
        event = _SignalEvent(ctypes.addressof(self._running), SIGNAL, _SIGEV_THREAD_ID, get_native_id())
        timer = ctypes.c_void_p()
        if _libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
            number = ctypes.get_errno()
            raise OSError(number, f"timer_create: {os.strerror(number)}")
        self._timer: Final = timer
        self._setting = (ctypes.c_int64 * 4)()
        self._setting_at = ctypes.addressof(self._setting)

    def runs(self, state_address: int) -> None:
        """From now on the thread runs the vCPU whose state is there (0: none, and the timer does nothing)."""
        self._running.value = state_address

    def set(self, time: int) -> None:
        """Expire at a time of `time.monotonic_ns`, instead of any other; on any thread, one at a time."""
        self._setting[2], self._setting[3] = divmod(max(time, 1), _SECOND)
        _libc.timer_settime(self._timer, _TIMER_ABSTIME, self._setting_at, None)

    def close(self) -> None:
        """No signal comes any more."""
        _libc.timer_delete(self._timer)
