"""Our standard output and error, whatever this process was started with and whatever a guest does to its own."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from runtime.host_descriptors import out_of_the_way


def replace_closed() -> None:
    """Where this process was started without standard output or error, what is written there is dropped."""
    if sys.stdout is None:
        sys.stdout = own_stream(os.open(os.devnull, os.O_WRONLY))
    if sys.stderr is None:
        sys.stderr = own_stream(os.open(os.devnull, os.O_WRONLY))


def keep_standard_error() -> None:
    """Keep it under a descriptor out of reach of a guest, who closes or redirects number 2 as he likes."""
    sys.stderr.flush()
    sys.stderr = own_stream(os.dup(sys.stderr.fileno()))


def own_stream(descriptor: int) -> TextIO:
    """A text stream for a descriptor, which is moved to where no guest reaches it."""
    return os.fdopen(out_of_the_way(descriptor), "w", buffering=1, errors="backslashreplace", closefd=False)
