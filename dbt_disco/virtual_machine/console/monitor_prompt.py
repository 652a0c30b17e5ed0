"""The monitor's prompt (Ctrl-A c): the virtual machine stands still, and one can look at it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import Final

from dbt_disco.virtual_machine import inspection
from dbt_disco.virtual_machine.console import escape_keys
from dbt_disco.virtual_machine.console.line import READ_SIZE
from dbt_disco.virtual_machine.console.terminal import CANCEL, Terminal
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

_PROMPT: Final = "(dbt-disco) "

INFORMATION: Final[dict[str, tuple[str, Callable[[VirtualMachine], str]]]] = {
    "registers": ("general and coprocessor 0 registers", inspection.registers_text),
    "tlb": ("the TLB's entries", inspection.tlb_text),
    "devices": ("where devices are, and their state", inspection.devices_text),
    "vm": ("what the virtual machine is made of, and statistics", inspection.virtual_machine_text),
}
"""What `info` shows → what that is, and how it is got."""

_CONTINUE: Final = ("continue", "cont", "c")
_QUIT: Final = ("quit", "q")
_MEANT_BY_KEY: Final[dict[escape_keys.Command | None, str]] = {
    escape_keys.Command.MONITOR: "continue",
    escape_keys.Command.LEAVE: "quit",
    escape_keys.Command.HELP: "help",
}
"""What a key behind Ctrl-A says at the prompt, which it leaves the way it came."""
_HELP_TEXT: Final = "".join(
    f"{command:16}{what}\n"
    for command, what in (
        *((f"info {name}", what) for name, (what, _) in INFORMATION.items()),
        ("continue", "go on with the guest (also Ctrl-D or Ctrl-A c)"),
        ("quit", "stop the virtual machine (also Ctrl-A x)"),
        ("help", "show this"),
    )
)


class MonitorPrompt:
    """The `Operator` of a terminal: answers what is typed behind Ctrl-A."""

    def __init__(self, virtual_machine: VirtualMachine, terminal: Terminal) -> None:
        self._virtual_machine = virtual_machine
        self._terminal = terminal

    def leave(self) -> None:
        self._virtual_machine.stop(Outcome(Ending.STOPPED, reason="stopped from the console"))

    def help(self) -> None:
        _say("\n" + escape_keys.HELP)

    def prompt(self) -> None:
        """Answer commands until one of them ends this."""
        self._virtual_machine.pause(self._converse)

    def _converse(self) -> None:
        with self._terminal.edited_lines():
            _say("\nThe virtual machine stands still; `help` lists commands.\n")
            while (line := self._read_line()) is not None and self._obey(line.split()):
                pass

    def _read_line(self) -> str | None:
        """What has been typed; None at the end of input, or when the virtual machine is stopped from outside."""
        _say(_PROMPT)
        data = self._read(READ_SIZE)
        if data.endswith(bytes((escape_keys.ESCAPE,))):
            with self._terminal.single_keys():
                key = self._read(1)
            _say("\n")
            return _MEANT_BY_KEY.get(escape_keys.KEYS.get(chr(key[0])), "") if key else None
        if data.endswith(CANCEL):
            _say("\n")
            return ""
        return data.decode(errors="replace") if data else None

    def _read(self, size: int) -> bytes:
        """What has been typed; nothing at the end of input, or when the virtual machine is stopped from outside."""
        descriptor = self._terminal.descriptor
        if not self._virtual_machine.surroundings.descriptors.wait_for(descriptor, select.POLLIN):
            return b""
        try:
            return os.read(descriptor, size)
        except OSError:  # the terminal is gone
            return b""

    def _obey(self, words: list[str]) -> bool:
        """False if the guest is to go on, or never will."""
        match words:
            case []:
                pass
            case [word] if word in _CONTINUE:
                return False
            case [word] if word in _QUIT:
                self.leave()
                return False
            case ["help"]:
                _say(_HELP_TEXT)
            case ["info" | "i", name] if name in INFORMATION:
                _say(INFORMATION[name][1](self._virtual_machine))
            case ["info" | "i", *_]:
                _say(f"info shows {', '.join(INFORMATION)}\n")
            case [word, *_]:
                _say(f"there is no command {word!r}; `help` lists what there is\n")
        return True


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
