"""Errors of a command that are the user's to mend."""

from __future__ import annotations

from typing import Final

FAILED: Final = 125
"""Exit status when dbt-disco itself has failed; 126 and 127 say that the program cannot be run."""


class CommandError(Exception):
    """One line for the user (what, where, what to do), and the exit status."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
