"""The terminal that a person sits at: raw for the guest, with edited lines for the monitor, as it was at the end."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dbt_disco.virtual_machine.console.escape_keys import ESCAPE

_INPUT, _OUTPUT, _CONTROL, _LOCAL, _IN_SPEED, _OUT_SPEED, _CHARACTERS = range(7)
_RAW_INPUT_OFF: Final = (
    termios.IGNBRK
    | termios.BRKINT
    | termios.PARMRK
    | termios.ISTRIP
    | termios.INLCR
    | termios.IGNCR
    | termios.ICRNL
    | termios.IXON
)
_RAW_LOCAL_OFF: Final = termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG
CANCEL: Final = b"\x03"
"""Ctrl-C, which ends a line for the monitor."""


class Terminal:
    """Standard input, when it is a terminal. A context manager: raw inside."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor
        self._original: list[Any] | None = None

    def __enter__(self) -> Terminal:
        self._original = termios.tcgetattr(self.descriptor)
        self._set_raw()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        self._original = None

    @contextmanager
    def edited_lines(self) -> Iterator[None]:
        """Inside, a read gives an edited line; no key sends a signal, and Ctrl-C and Ctrl-A end the line."""
        assert self._original is not None
        settings = [*self._original[:_CHARACTERS], [*self._original[_CHARACTERS]]]
        settings[_INPUT] |= termios.ICRNL
        settings[_LOCAL] = (settings[_LOCAL] | termios.ICANON | termios.ECHO | termios.ECHOE) & ~termios.ISIG
        settings[_CHARACTERS][termios.VEOL] = CANCEL
        settings[_CHARACTERS][termios.VEOL2] = bytes((ESCAPE,))
        settings[_LOCAL] |= termios.IEXTEN  # without which there is no second end of line
        self._set(settings)
        try:
            yield
        finally:
            self._set_raw()

    @contextmanager
    def single_keys(self) -> Iterator[None]:
        """Within `edited_lines`: a read gives a key at once."""
        edited = termios.tcgetattr(self.descriptor)
        self._set_raw()
        try:
            yield
        finally:
            self._set(edited)

    def suspend(self) -> None:
        """Stop this process as Ctrl-Z does others; returns when it is continued."""
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._set_raw()

    def _set_raw(self) -> None:
        """Every key goes to the guest. Output keeps its settings: bare-metal programs end lines with \\n alone."""
        assert self._original is not None
        settings = [*self._original[:_CHARACTERS], [*self._original[_CHARACTERS]]]
        settings[_INPUT] &= ~_RAW_INPUT_OFF
        settings[_LOCAL] &= ~_RAW_LOCAL_OFF
        settings[_CHARACTERS][termios.VMIN] = 1
        settings[_CHARACTERS][termios.VTIME] = 0
        self._set(settings)

    def _restore(self) -> None:
        if self._original is not None:
            self._set(self._original)

    def _set(self, settings: list[Any]) -> None:
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, settings)
