"""Host signals through the runtime's native handler, which stops a vCPU even in the middle of native code."""

from __future__ import annotations

import signal
from typing import Any, Final, Protocol

from dbt_disco.linux.signal_source import CaughtSignal
from translator.state import CpuState


class NativeHandler(Protocol):
    """What `runtime.host_faults.HostFaults` offers for this."""

    def catch(self, number: int) -> None:
        """Set the signal's bit in `CpuState.pending_signals` when it arrives, and leave native code."""

    def release(self, number: int) -> None:
        """Give the signal the action it had before."""


class NativeSignalSource:
    """Satisfies `SignalSource`. Of a signal's siginfo nothing is known but the number."""

    def __init__(self, handler: NativeHandler, state: CpuState) -> None:
        self._handler = handler
        self._state = state
        self._caught: Final[set[int]] = set()
        self._before: Final[dict[int, Any]] = {}

    def catch(self, number: int) -> None:
        """See `SignalSource`."""
        if number not in self._caught:
            self._handler.catch(number)
            self._caught.add(number)

    def ignore(self, number: int) -> None:
        """See `SignalSource`."""
        self._set(number, signal.SIG_IGN)

    def restore_default(self, number: int) -> None:
        """See `SignalSource`."""
        self._set(number, signal.SIG_DFL)

    def has_caught(self) -> bool:
        """See `SignalSource`."""
        return bool(self._state.pending_signals)

    def take(self) -> list[CaughtSignal]:
        """See `SignalSource`."""
        if not self._state.pending_signals:
            return []
        # Reading and clearing must not lose a signal that arrives in between.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pending = self._state.pending_signals
        self._state.pending_signals = 0
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return [CaughtSignal(number) for number in range(1, signal.NSIG) if pending >> number & 1]

    def release(self) -> None:
        """See `SignalSource`."""
        for number in self._caught:
            self._handler.release(number)
        self._caught.clear()
        for number, action in self._before.items():
            signal.signal(number, action if action is not None else signal.SIG_DFL)
        self._before.clear()

    def _set(self, number: int, action: Any) -> None:
        if number in self._caught:
            self._handler.release(number)
            self._caught.discard(number)
        before = signal.signal(number, action)
        self._before.setdefault(number, before)
