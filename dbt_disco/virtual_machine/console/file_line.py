"""A serial line that goes to a file, and brings nothing."""

from __future__ import annotations

import os
from pathlib import Path

from dbt_disco.virtual_machine.console.line import DescriptorLine, LineError, Output
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings


class FileLine(DescriptorLine):
    """What was in the file before is gone."""

    def __init__(self, path: Path) -> None:
        """LineError if the file cannot be written."""
        super().__init__()
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY
        try:
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise LineError(f"--serial file:{path}: {error.strerror}") from error

    def start(self, surroundings: RunSurroundings) -> None:
        self._use(surroundings, readable=None, output=Output(self._descriptor, surroundings.descriptors))

    def _output_failed(self, error: OSError) -> None:
        raise LineError(f"--serial file:{self._path}: {error.strerror}") from error

    def close(self) -> None:
        self.flush()
        os.close(self._descriptor)
