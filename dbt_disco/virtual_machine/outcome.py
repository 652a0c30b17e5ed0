"""How a virtual machine comes to its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

_STOPPED: Final = 3
_SIGNALLED: Final = 128
"""As shells have it."""


class Ending(Enum):
    """What ended a virtual machine."""

    RESET = "the guest reset the machine"
    HALT = "the guest halted"
    POWER_OFF = "the guest powered off by a monitor call"
    STOPPED = "it was stopped from outside"
    SIGNAL = "a signal came for the monitor"
    FAILED = "it cannot go on"


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    ending: Ending
    status: int = 0
    """POWER_OFF: the guest's exit status; SIGNAL: the signal's number."""
    reason: str = ""
    """STOPPED and FAILED: one line that says why."""

    @property
    def exit_status(self) -> int:
        """What `dbt-disco boot` ends with."""
        match self.ending:
            case Ending.STOPPED | Ending.FAILED:
                return _STOPPED
            case Ending.SIGNAL:
                return _SIGNALLED + self.status
            case _:
                return self.status
