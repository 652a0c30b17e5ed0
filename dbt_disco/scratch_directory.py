"""A temporary directory that does not stay behind, whenever a signal ends the process."""

from __future__ import annotations

import signal
import tempfile
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ScratchDirectory(AbstractContextManager[str]):
    """Gives its path; `tempfile.TemporaryDirectory`, but that a signal which raises an exception between the making of
    the directory and the `with` block waits until the exception removes it."""

    def __init__(self, prefix: str) -> None:
        self._prefix: Final = prefix
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> str:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            self._directory = tempfile.TemporaryDirectory(prefix=self._prefix)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what has come meanwhile is raised here
        except BaseException:
            self._remove()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        return self._directory.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
