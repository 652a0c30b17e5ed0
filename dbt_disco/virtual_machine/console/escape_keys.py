"""Ctrl-A: how a person at the console speaks to the monitor instead of the guest; as QEMU has it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

ESCAPE: Final = 0x01
"""Ctrl-A."""


class Command(Enum):
    """What a key does behind Ctrl-A."""

    LEAVE = "leave: stop the virtual machine"
    MONITOR = "go to the monitor's prompt"
    BREAK = "send the line's break condition (magic SysRq)"
    HELP = "show this"
    ESCAPE = "send Ctrl-A"


KEYS: Final = {
    "x": Command.LEAVE,
    "c": Command.MONITOR,
    "b": Command.BREAK,
    "h": Command.HELP,
    "?": Command.HELP,
    "a": Command.ESCAPE,
    "\x01": Command.ESCAPE,
}
"""The key behind Ctrl-A → what it does; any other key is swallowed."""

HELP: Final = "".join(
    f"Ctrl-A {key.replace(chr(ESCAPE), 'Ctrl-A'):7}{command.value}\n" for key, command in KEYS.items()
)


class EscapeKeys:
    """Tells what is for the guest from what is for the monitor."""

    def __init__(self) -> None:
        self._escaped = False

    def split(self, data: bytes) -> Iterator[bytes | Command]:
        """What has been typed, in order: characters for the guest, and commands."""
        while data:
            if self._escaped:
                self._escaped = False
                command = KEYS.get(chr(data[0]))
                data = data[1:]
                if command is Command.ESCAPE:
                    yield bytes((ESCAPE,))
                elif command is not None:
                    yield command
                continue
            typed, escape, data = data.partition(bytes((ESCAPE,)))
            if typed:
                yield typed
            self._escaped = bool(escape)
