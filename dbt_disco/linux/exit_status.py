"""How a guest process ended."""

from __future__ import annotations

from typing import NamedTuple

from dbt_disco.linux.signal_numbers import DefaultAction, default_action, host_signal


class ExitStatus(NamedTuple):
    """An exit code, or the signal that killed the process (guest numbering)."""

    code: int = 0
    signal: int = 0

    @classmethod
    def killed(cls, guest_signal: int) -> ExitStatus:
        """Death by a signal."""
        return cls(signal=guest_signal)

    @property
    def host_signal(self) -> int | None:
        """The signal to die by on the host, if a signal it was; SIGEMT and the like become SIGKILL."""
        if not self.signal:
            return None
        return host_signal(self.signal) or 9

    @property
    def dumps_core(self) -> bool:
        """Whether this signal leaves a core dump where the limit allows one."""
        return bool(self.signal) and default_action(self.signal) is DefaultAction.CORE


class ProcessExit(BaseException):
    """Ends the process's loop. Not an `Exception`, so that no handler of errors swallows it."""

    def __init__(self, status: ExitStatus) -> None:
        super().__init__(status)
        self.status = status
