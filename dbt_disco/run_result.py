"""Why a run has stopped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from translator.state import ExceptionCode


class StopReason(Enum):
    """What ended a run."""

    UNTIL = "until"
    """The pc is at the address that was asked for; what is there has not been executed."""
    COUNT = "count"
    """As many instructions as asked for have been executed."""
    TIMEOUT = "timeout"
    """The time is up."""
    STOPPED = "stopped"
    """Someone called `stop`."""
    SYSTEM_CALL = "system call"
    """The instruction at pc is a `syscall`; nothing of it has been done. `skip` goes past it."""
    EXCEPTION = "exception"
    """The instruction at pc raised `exception`; nothing of it has been done."""
    EXIT = "exit"
    """The program has ended by itself, with `exit_code`."""
    SIGNAL = "signal"
    """The program was killed by `signal`."""


@dataclass(frozen=True)
class RunResult:
    """How a run went."""

    reason: StopReason
    pc: int
    """Address of the next instruction, or of the one that raised the exception."""
    instructions: int
    """How many were executed in this run."""
    in_delay_slot: bool = False
    """Whether pc is the delay slot of a branch that has been executed."""
    exception: ExceptionCode | None = None
    bad_address: int | None = None
    """The address that could not be accessed, if an access was the exception's cause."""
    exit_code: int | None = None
    signal: str | None = None
    """Name of the signal that killed the program."""
