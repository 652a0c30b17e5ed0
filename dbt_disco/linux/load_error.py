"""Why a program cannot be started."""

from __future__ import annotations

import os
from typing import Final

NOT_FOUND: Final = 127
CANNOT_EXECUTE: Final = 126


class LoadError(Exception):
    """One line for the user, naming the file and the reason, and the exit status a shell would give."""

    def __init__(self, path: str | bytes, reason: str, exit_status: int = CANNOT_EXECUTE) -> None:
        self.path = os.fsdecode(path)
        self.reason = reason
        self.exit_status = exit_status
        super().__init__(f"{self.path or repr('')}: {reason}")
