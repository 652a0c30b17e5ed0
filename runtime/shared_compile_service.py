"""A compile service for the vCPUs of one machine, made when one of them first has something to compile."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.compile_service import CompileService
    from runtime.worker_process import WorkerProcess
    from translator.translation import Translation


class SharedCompileService:
    """May be used on any thread."""

    def __init__(self) -> None:
        self._service: CompileService | None = None
        self._making: Final = Lock()

    def made_by(self, start_process: Callable[[list[str]], WorkerProcess]) -> CompileService:
        """The service; if it must be made, its workers are started by `start_process`."""
        with self._making:
            if self._service is None:
                from runtime.compile_service import CompileService  # late: most short runs need none

                self._service = CompileService(start_process)
            return self._service

    def recall(self, name: str) -> Translation | None:
        """What has been translated, for anybody, under a name."""
        return None if self._service is None else self._service.recall(name)

    @property
    def remembered(self) -> int:
        """How many translations are remembered."""
        return 0 if self._service is None else self._service.remembered

    def close(self) -> None:
        """End the service; no vCPU may be left that uses it."""
        if self._service is not None:
            self._service.close()
