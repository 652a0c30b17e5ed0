"""How host signals meant for the guest reach it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple, Protocol


class CaughtSignal(NamedTuple):
    """A host signal, in host numbering, with as much of its siginfo as the source knows."""

    number: int
    code: int = 0
    fields: tuple[int, int, int] = (0, 0, 0)


class SignalSource(Protocol):
    """Catches host signals and makes the vCPU stop; the guest's handlers run from the process's loop."""

    def catch(self, number: int) -> None:
        """From now on catch this host signal (without SA_RESTART: it must interrupt system calls)."""

    def ignore(self, number: int) -> None:
        """From now on the host ignores it."""

    def restore_default(self, number: int) -> None:
        """From now on it has its default action on the host."""

    def has_caught(self) -> bool:
        """Whether `take` would return any; asked after every system call."""

    def take(self) -> list[CaughtSignal]:
        """The signals caught since the last call, in order as far as known."""

    def release(self) -> None:
        """Put every disposition back as it was before the first call."""


class PythonSignalSource:
    """A source built on Python's own signal handlers.

    They run between bytecodes, so a vCPU that stays in native code is not stopped by them; blocking system
    calls are. `stop` is called for every signal.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._caught: list[CaughtSignal] = []
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._caught.append(CaughtSignal(number))
        self._stop()

    def _set(self, number: int, action: Any) -> None:
        try:
            before = signal.signal(number, action)
        except (OSError, ValueError):  # SIGKILL, SIGSTOP and the C library's own
            return
        self._before.setdefault(number, before)

    def catch(self, number: int) -> None:
        """See `SignalSource`."""
        self._set(number, self._handle)

    def ignore(self, number: int) -> None:
        """See `SignalSource`."""
        self._set(number, signal.SIG_IGN)

    def restore_default(self, number: int) -> None:
        """See `SignalSource`."""
        self._set(number, signal.SIG_DFL)

    def has_caught(self) -> bool:
        """See `SignalSource`."""
        return bool(self._caught)

    def take(self) -> list[CaughtSignal]:
        """See `SignalSource`."""
        caught, self._caught = self._caught, []
        return caught

    def release(self) -> None:
        """See `SignalSource`."""
        for number, action in self._before.items():
            signal.signal(number, action if action is not None else signal.SIG_DFL)
        self._before.clear()
