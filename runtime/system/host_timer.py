"""The POSIX timer that makes running native code look at Compare in time.

Generated code sets it (`translator.system.timer`); its signal's handler, LLVM IR too, only clears `limit` of the CPU
state that the timer belongs to, on whatever thread the host delivers it.
"""

from __future__ import annotations

import ctypes
import signal
from typing import TYPE_CHECKING, Final

from runtime.posix_timer import SIGNAL_VALUE_OFFSET, PosixTimer
from runtime.signal_actions import SignalActions
from translator.state import OFFSET, CpuState

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

SIGNAL: Final = signal.SIGRTMIN + 6

HANDLER: Final = "host_timer"
HANDLER_IR: Final = f"""\
define void @{HANDLER}(i32 %signal, ptr %info, ptr %context) nounwind {{
  %value.at = getelementptr i8, ptr %info, i64 {SIGNAL_VALUE_OFFSET}
  %state = load ptr, ptr %value.at
  %limit = getelementptr i8, ptr %state, i64 {OFFSET["limit"]}
  store atomic i64 0, ptr %limit seq_cst, align 8
  ret void
}}
"""


_actions: Final = SignalActions()


class HostTimer:
    """One vCPU's timer."""

    def __init__(self, native: NativeCode, state: CpuState) -> None:
        _actions.set(SIGNAL, native.timer_handler(), restart=True)
        timer = PosixTimer(SIGNAL, ctypes.addressof(state))
        if not timer.id:  # which generated code takes for none: the process keeps it unused
            timer = PosixTimer(SIGNAL, ctypes.addressof(state))
        self._timer: Final = timer
        state.host_timer = timer.id
        self._state: Final = state

    @staticmethod
    def let_through() -> None:
        """On a thread that runs vCPUs: whoever started it may have blocked the signal, and no Compare would match."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})

    def set(self, time: int) -> None:
        """Expire at a time of `time.monotonic_ns`."""
        self._timer.expire_at(time)

    def close(self) -> None:
        """No signal comes any more."""
        self._state.host_timer = 0
        self._timer.close()
