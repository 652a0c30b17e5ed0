"""A time limit for what may turn in circles: an error with the places of all threads, rather than pytest's time-out,
which ends the process.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deadline(seconds: int, what: str) -> Iterator[None]:
    """TimeoutError if it takes longer. Native code has to return for that."""

    def give_up(*_: object) -> None:
        stacks = ["".join(traceback.format_stack(frame)) for frame in sys._current_frames().values()]
        raise TimeoutError("\n\n".join([f"{what} has not ended after {seconds} s", *stacks]))

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
