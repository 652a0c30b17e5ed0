"""Showing how far a long job is: bars on a terminal, else a line for each step."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Where a job tells its progress."""

    def step(self, title: str) -> Callable[[float], None]:
        """Begin the next step of the job; returns what to call with the fraction of it that is done."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show progress on standard error until the context is left."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        yield from _bars()
    else:
        yield _Lines()


class _Lines:
    def step(self, title: str) -> Callable[[float], None]:
        print(title, file=sys.stderr, flush=True)
        return lambda fraction: None


def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())

    class Bars:
        def __init__(self, bars: RichProgress) -> None:
            self._bars = bars
            self._finish: Callable[[], None] = lambda: None

        def step(self, title: str) -> Callable[[float], None]:
            self._finish()
            task = self._bars.add_task(title, total=1.0)
            self._finish = lambda: self._bars.update(task, completed=1.0)
            return lambda fraction: self._bars.update(task, completed=fraction)

        def finish(self) -> None:
            self._finish()

    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        shown = Bars(bars)
        yield shown
        shown.finish()
