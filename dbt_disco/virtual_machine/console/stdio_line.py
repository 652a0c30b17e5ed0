"""The serial line on standard input and output: stdout carries the guest's bytes only, unchanged."""

from __future__ import annotations

import os
from typing import Final, Protocol

from dbt_disco.virtual_machine.console.escape_keys import Command, EscapeKeys
from dbt_disco.virtual_machine.console.line import DescriptorLine, Output
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings

_INPUT: Final = 0
_OUTPUT: Final = 1
_TYPED_AHEAD_MAX: Final = 4096
"""Characters typed that the guest has not taken; more are lost."""


class Operator(Protocol):
    """Does what a person at the terminal asks the monitor for, on the vCPU's thread."""

    def leave(self) -> None: ...
    def prompt(self) -> None: ...
    def help(self) -> None: ...


class StdioLine(DescriptorLine):
    """Standard input may be a terminal, which goes on being read while the guest takes no input."""

    def __init__(self) -> None:
        super().__init__()
        self.is_terminal: Final = os.isatty(_INPUT)
        self.operator: Operator | None = None
        """Who answers Ctrl-A at a terminal; None: nobody, and the guest gets it."""
        self._keys = EscapeKeys()

    def start(self, surroundings: RunSurroundings) -> None:
        self._use(surroundings, readable=_INPUT, output=Output(_OUTPUT, surroundings.descriptors))

    def close(self) -> None:
        self.flush()
        self._stop_watching()

    def _wants_input(self) -> bool:
        return self.is_terminal or super()._wants_input()

    def _take(self, data: bytes) -> None:
        if not self.is_terminal or self.operator is None:
            super()._take(data)
            return
        for part in self._keys.split(data):
            if isinstance(part, Command):
                self._obey(part, self.operator)
            else:
                super()._take(part[: max(_TYPED_AHEAD_MAX - len(self._incoming), 0)])

    def _obey(self, command: Command, operator: Operator) -> None:
        match command:
            case Command.LEAVE:
                operator.leave()
            case Command.MONITOR:
                self.flush()
                operator.prompt()
            case Command.HELP:
                self.flush()
                operator.help()
            case Command.BREAK:
                self._incoming.add_break()
