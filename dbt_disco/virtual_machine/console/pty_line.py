"""A serial line on a terminal of its own, for `screen` or another terminal program to connect to."""

from __future__ import annotations

import os
import pty
import tty

from dbt_disco.virtual_machine.console.line import DescriptorLine, Output
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings


class PtyLine(DescriptorLine):
    """A pseudoterminal. Output that nobody reads is lost once the host's buffer is full, as on a real line."""

    def __init__(self) -> None:
        super().__init__()
        # We keep the other side open ourselves, or else ours is hung up whenever nobody has it open.
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.name = os.ttyname(self._theirs)
        """The path that others open."""

    def start(self, surroundings: RunSurroundings) -> None:
        output = Output(self._ours, surroundings.descriptors, waits=False)
        self._use(surroundings, readable=self._ours, output=output)

    def close(self) -> None:
        self.flush()
        self._stop_watching()
        os.close(self._ours)
        os.close(self._theirs)
