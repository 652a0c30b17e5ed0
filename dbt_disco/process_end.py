"""Ending this process: by a signal, or without the interpreter's slow farewell."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from dbt_disco.linux.exit_status import ExitStatus


def flush_output() -> None:
    """Write out what Python still holds of standard output and error. BrokenPipeError if nobody reads it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def die_by_signal(number: int) -> NoReturn:
    """End the process by the default action of a host signal, as its parent expects to see it."""
    with contextlib.suppress(OSError):  # the reader may be gone: so are we
        flush_output()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    # Here only if the process cannot be killed, being its namespace's init.
    os._exit(128 + number)


def end_as(status: ExitStatus) -> NoReturn:
    """End the process as a guest has ended, leaving memory and modules for the host to clear away."""
    number = status.host_signal
    if number is not None:
        die_by_signal(number)
    with contextlib.suppress(OSError):
        flush_output()
    os._exit(status.code)
