"""Talking to a guest on its console."""

from __future__ import annotations

import os
import subprocess
import threading

TIMEOUT = 300
"""Seconds that a guest may take to end."""


def converse(command: list[str], typed: str = "", prompt: str = "/ # ") -> str:
    """Run a virtual machine until it ends; returns what its console showed.

    `typed` is entered when `prompt` has appeared; nothing is, if it is empty.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        limit = threading.Timer(TIMEOUT, machine.kill)
        limit.start()
        assert machine.stdin is not None and machine.stdout is not None
        shown = b""
        while typed and prompt.encode() not in shown and (data := os.read(machine.stdout.fileno(), 4096)):
            shown += data
        machine.stdin.write(typed.encode())
        machine.stdin.close()
        shown += machine.stdout.read()
        limit.cancel()
    assert machine.returncode == 0, shown
    return shown.decode(errors="replace").replace("\r", "")
