"""How host signals meant for the guest reach it, and how its system calls take notice of them."""

from __future__ import annotations

import os
import signal
from typing import Any, Final, Protocol

from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.host_numbers import NUMBERS
from runtime.host_signals import CaughtSignal, HostSignals
from translator.state import CpuState


class SignalSource(Protocol):
    """Catches host signals and makes the vCPU stop; the guest's handlers run from the process's loop."""

    def attach(self) -> None:
        """Signals are the guest's from now on."""

    def catch(self, number: int) -> None:
        """From now on catch this host signal; it interrupts system calls."""

    def ignore(self, number: int) -> None:
        """From now on the host ignores it."""

    def restore_default(self, number: int) -> None:
        """From now on it has its default action on the host."""

    def has_caught(self) -> bool:
        """Whether `take` may return any; asked after every system call."""

    def take(self) -> list[CaughtSignal]:
        """The signals caught since the last call, in order."""

    def keep_pending(self, number: int, information: bytes) -> bool:
        """Have the host keep pending a host signal that is blocked there, with this siginfo_t; False if it does not."""

    def call(self, name: str, *arguments: Any) -> int:
        """As `host_call`, but NOT_MADE if there are signals to `take`: it never waits in spite of one."""

    def release(self) -> None:
        """Put every disposition back as it was before `attach`."""


class HostSignalSource:
    """The runtime's native handler as a `SignalSource`.

    Signals show in `pending_signals` of `state`, which is that of the vCPU, or whatever its observer looks at.
    """

    def __init__(self, signals: HostSignals, state: CpuState) -> None:
        self._signals: Final = signals
        self._state: Final = state
        self._call: Final = signals.caller(state)
        self._caught: Final[set[int]] = set()
        self._before: Final[dict[int, Any]] = {}

    def attach(self) -> None:
        """See `SignalSource`."""
        self._signals.bind(self._state)

    def catch(self, number: int) -> None:
        """See `SignalSource`."""
        if number not in self._caught:
            self._signals.catch(number)
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
        return self._signals.take() if self._state.pending_signals else []

    def keep_pending(self, number: int, information: bytes) -> bool:
        """See `SignalSource`."""
        return host_call("rt_tgsigqueueinfo", os.getpid(), host_call("gettid"), number, information) == 0

    def call(self, name: str, *arguments: Any) -> int:
        """See `SignalSource`."""
        return self._call(NUMBERS[name], *arguments)

    def release(self) -> None:
        """See `SignalSource`."""
        for number in self._caught:
            self._signals.release(number)
        self._caught.clear()
        for number, action in self._before.items():
            signal.signal(number, action if action is not None else signal.SIG_DFL)
        self._before.clear()

    def _set(self, number: int, action: Any) -> None:
        if number in self._caught:
            self._signals.release(number)
            self._caught.discard(number)
        before = signal.signal(number, action)
        self._before.setdefault(number, before)
