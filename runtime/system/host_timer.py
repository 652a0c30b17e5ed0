"""The POSIX timer that makes running native code look at Compare in time.

Generated code sets it (`translator.system.timer`); its signal's handler, LLVM IR too, only clears `limit` of the CPU
state that the timer belongs to, on whatever thread the host delivers it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, Final

from runtime.signal_actions import SignalActions
from translator.state import OFFSET, CpuState

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

SIGNAL: Final = signal.SIGRTMIN + 6
_VALUE: Final = 24
"""Offset of si_value in siginfo_t of a timer."""
_SIGEV_SIGNAL: Final = 0
_TIMER_ABSTIME: Final = 1
_SECOND: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1

HANDLER: Final = "host_timer"
HANDLER_IR: Final = f"""\
define void @{HANDLER}(i32 %signal, ptr %info, ptr %context) nounwind {{
  %value.at = getelementptr i8, ptr %info, i64 {_VALUE}
  %state = load ptr, ptr %value.at
  %limit = getelementptr i8, ptr %state, i64 {OFFSET["limit"]}
  store atomic i64 0, ptr %limit seq_cst, align 8
  ret void
}}
"""


class _SignalEvent(ctypes.Structure):
    """struct sigevent of Linux."""

    _fields_ = [
        ("value", ctypes.c_uint64),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_uint8 * 48),
    ]


_actions: Final = SignalActions()
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.timer_create.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.timer_delete.argtypes = [ctypes.c_void_p]


class HostTimer:
    """One vCPU's timer."""

    def __init__(self, native: NativeCode, state: CpuState) -> None:
        _actions.set(SIGNAL, native.timer_handler(), restart=True)
        event = _SignalEvent(ctypes.addressof(state), SIGNAL, _SIGEV_SIGNAL)
        timer = ctypes.c_void_p()
        if _libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
            number = ctypes.get_errno()
            raise OSError(number, f"timer_create: {os.strerror(number)}")
        self._timer: Final = timer
        # The first timer of a process is number 0, which generated code takes for none.
        if not timer.value:
            again = ctypes.c_void_p()
            _libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(again))
            self._timer = again  # type: ignore[misc]
        state.host_timer = self._timer.value or 0
        self._state = state

    def set(self, time: int) -> None:
        """Expire at a time of `time.monotonic_ns`."""
        setting = (ctypes.c_int64 * 4)(0, 0, *divmod(max(time, 1), _SECOND))
        _libc.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(setting), None)

    def close(self) -> None:
        """No signal comes any more."""
        self._state.host_timer = 0
        _libc.timer_delete(self._timer)
