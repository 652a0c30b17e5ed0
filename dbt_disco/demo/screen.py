"""What the demo prints: lines, and on a terminal below them one that says what is going on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper


class Screen:
    """Standard output. A context manager: the last line goes with it."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # not every terminal has the sign for "times"
        self._is_terminal = sys.stdout.isatty()
        self._status = ""

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.status("")

    def line(self, text: str = "") -> None:
        """Print a line for good."""
        status = self._status
        self.status("")
        print(text, flush=True)
        self.status(status)

    def headline(self, text: str) -> None:
        """Print what the following lines are about."""
        self.line(f"\x1b[1m{text}\x1b[0m" if self._is_terminal else text)

    def table_line(self, cells: Sequence[str], widths: Sequence[int]) -> None:
        """Print a line of a table: columns of these widths, negative ones with numbers, which end where they do."""
        columns = [
            cell.ljust(width) if width > 0 else cell.rjust(-width)
            for cell, width in zip(cells, widths, strict=True)
        ]
        self.line(f"  {'  '.join(columns)}".rstrip())

    def status(self, text: str) -> None:
        """What is going on now; only a terminal shows it."""
        if self._is_terminal and text != self._status:
            sys.stdout.write(f"\r\x1b[K{text}")
            sys.stdout.flush()
            self._status = text
