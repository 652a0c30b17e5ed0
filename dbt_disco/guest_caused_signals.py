"""Which host signals a guest gets when its process is not its own, but that of a Python program."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dbt_disco.linux.signal_source import SignalSource
    from runtime.host_signals import CaughtSignal
    from translator.state import CpuState

GUEST_CAUSED: Final = frozenset(
    {
        *(signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF),
        *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU, signal.SIGIO),
    }
)
"""What only the guest's own timers, writes and limits bring about; all others are meant for Python."""


class GuestCausedSignals:
    """A `SignalSource` that passes on these signals only, and only in the main thread."""

    def __init__(self, source: SignalSource, state: CpuState) -> None:
        self._source = source
        self._state = state

    def attach(self) -> None:
        """See `SignalSource`."""
        if _is_main_thread():
            self._source.attach()

    def catch(self, number: int) -> None:
        """See `SignalSource`."""
        if self._concerns(number):
            self._source.catch(number)

    def ignore(self, number: int) -> None:
        """See `SignalSource`."""
        if self._concerns(number):
            self._source.ignore(number)

    def restore_default(self, number: int) -> None:
        """See `SignalSource`."""
        if self._concerns(number):
            self._source.restore_default(number)

    def has_caught(self) -> bool:
        """See `SignalSource`."""
        return self._source.has_caught()

    def take(self) -> list[CaughtSignal]:
        """See `SignalSource`. Another signal that has interrupted a system call keeps on asking for a
        stop."""
        caught = self._source.take()
        for other in caught:
            if other.number not in GUEST_CAUSED:
                self._state.pending_signals |= 1 << other.number % 64
        return [one for one in caught if one.number in GUEST_CAUSED]

    def keep_pending(self, number: int, information: bytes) -> bool:
        """See `SignalSource`. What the guest has not taken would be left to Python."""
        return False

    def call(self, name: str, *arguments: Any) -> int:
        """See `SignalSource`."""
        return self._source.call(name, *arguments)

    def release(self) -> None:
        """See `SignalSource`."""
        self._source.release()

    def _concerns(self, number: int) -> bool:
        return number in GUEST_CAUSED and _is_main_thread()


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
