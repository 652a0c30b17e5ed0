"""A command at a terminal, and a person in front of it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tests.dbt_disco.commands.command import REPOSITORY, launcher

TIMEOUT = 60


class TerminalSession:
    """Runs `dbt-disco` with a pseudoterminal as its standard input, output and error, in a session of its own."""

    def __init__(self, words: Sequence[object]) -> None:
        self._ours, theirs = pty.openpty()
        self.settings_before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            launcher(*words),
            cwd=REPOSITORY,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._theirs = theirs
        self.screen = ""
        self._seen = 0

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def settings(self) -> list[Any]:
        """The terminal's, as of termios."""
        return termios.tcgetattr(self._theirs)

    def is_raw(self) -> bool:
        return not self.settings()[3] & termios.ICANON

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """Wait until `text` appears behind what was waited for last; what is between."""
        deadline = time.monotonic() + TIMEOUT
        while (at := self.screen.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, f"no {text!r} in {self.screen[self._seen :]!r}"
            if not self._read():
                assert self.process.poll() is None, f"no {text!r} in {self.screen[self._seen :]!r}"
        between = self.screen[self._seen : at]
        self._seen = at + len(text)
        return between

    def wait_until_raw(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not self.is_raw():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> int:
        """Wait for the command's end; its exit status."""
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], 0.05)
        if ready:
            self.screen += os.read(self._ours, 65536).decode(errors="replace")
        return bool(ready)
