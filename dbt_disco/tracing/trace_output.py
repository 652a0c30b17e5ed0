"""Where trace lines go."""

from __future__ import annotations

import os
from typing import Final

from runtime.host_descriptors import close_own, out_of_the_way

_BUFFERED_LINES: Final = 512


class TraceOutput:
    """A file, or standard error, under a descriptor the guest cannot reach. OSError if it cannot be
    opened."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor = out_of_the_way(os.dup(2) if path is None else os.open(path, flags, 0o666))
        self._lines: list[str] = []

    def line(self, text: str) -> None:
        """Add a line."""
        self._lines.append(text)
        if len(self._lines) >= _BUFFERED_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what has been added, so that it comes before whatever the guest writes next. OSError if that fails."""
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._lines.clear()
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                error.filename = self._path
                raise

    def close(self) -> None:
        """Write the rest and close the descriptor."""
        self.flush()
        close_own(self._descriptor)
