"""`dbt-disco cluster console`: a terminal on a virtual machine's serial line."""

from __future__ import annotations

import os
import select
import sys
from contextlib import nullcontext
from typing import Final

from dbt_disco.cluster.client import Client
from dbt_disco.cluster.protocol import packed, unpacked
from dbt_disco.virtual_machine.console.escape_keys import Command, EscapeKeys
from dbt_disco.virtual_machine.console.line import READ_SIZE
from dbt_disco.virtual_machine.console.terminal import Terminal

_INPUT: Final = 0
_OUTPUT: Final = 1
_ENDED: Final = ("stopped", "failed")


def attach(client: Client, vm: str, *, history: bool) -> int:
    """Show what the guest writes and send what is typed, until Ctrl-A x, or the virtual machine ends for good."""
    is_terminal = os.isatty(_INPUT)
    state = client.execute("console-subscribe", vm=vm, history=history)["state"]
    if state in _ENDED:
        while client.has_event():
            _show(client.next_event(), vm)
        print(f"dbt-disco: {vm} is {state}; that was its last output", file=sys.stderr)
        return 0
    if is_terminal:
        print(f"dbt-disco: the console of {vm}; Ctrl-A x leaves it", file=sys.stderr, flush=True)
    with Terminal(_INPUT) if is_terminal else nullcontext():
        _converse(client, vm, EscapeKeys() if is_terminal else None)
    if is_terminal:
        print(file=sys.stderr)
    return 0


def _converse(client: Client, vm: str, keys: EscapeKeys | None) -> None:
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    poll.register(_INPUT, select.POLLIN)
    while True:
        while client.has_event():
            if not _show(client.next_event(), vm):
                return
        ready = [descriptor for descriptor, _ in poll.poll()]
        if client.fileno() in ready and not _show(client.next_event(), vm):
            return
        if _INPUT in ready:
            data = os.read(_INPUT, READ_SIZE)
            if not data:
                poll.unregister(_INPUT)
            elif not _send(client, vm, data, keys):
                return


def _show(message: dict[str, object], vm: str) -> bool:
    """False if the virtual machine has ended for good."""
    data = message.get("data")
    if not isinstance(data, dict) or data.get("vm") != vm:
        return True
    if message["event"] == "CONSOLE":
        shown = unpacked(data["data"])
        while shown:
            shown = shown[os.write(_OUTPUT, shown) :]
    return not (message["event"] == "VM_STATE" and data["state"] in _ENDED)


def _send(client: Client, vm: str, data: bytes, keys: EscapeKeys | None) -> bool:
    """False if the person wants to leave."""
    for part in [data] if keys is None else keys.split(data):
        if part is Command.LEAVE:
            return False
        while isinstance(part, bytes) and part:
            part = part[client.execute("console-input", vm=vm, data=packed(part))["taken"] :]
            if part:  # the guest is slow to take it
                select.select([], [], [], 0.05)
    return True
