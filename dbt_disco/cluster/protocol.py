"""The language of a cluster's control socket, in the manner of QEMU's QMP: JSON objects, one in a line, UTF-8.

The server greets: {"dbt-disco": {"protocol": 1, "version": …, "cluster": …, "process": …}}. A client sends commands,
{"execute": NAME, "arguments": {…}, "id": ANYTHING}, and gets for each one, in order, {"return": …, "id": …} or
{"error": {"class": …, "description": …}, "id": …}. In between come events, {"event": NAME, "data": {…},
"timestamp": {"seconds": …, "microseconds": …}}. Bytes of consoles are in base64.
"""

from __future__ import annotations

import base64
import json
import os
from enum import Enum
from pathlib import Path
from time import time
from typing import Any, Final

from dbt_disco.command_error import CommandError

VERSION: Final = 1
GREETING: Final = "dbt-disco"
LONGEST_LINE: Final = 1 << 20
"""Bytes; what is longer is refused."""


class ErrorClass(Enum):
    """What kind of thing is wrong with a command."""

    SYNTAX = "Syntax"
    COMMAND_NOT_FOUND = "CommandNotFound"
    INVALID_ARGUMENTS = "InvalidArguments"
    VM_NOT_FOUND = "VmNotFound"
    INVALID_STATE = "InvalidState"
    FAILED = "Failed"


class ProtocolError(Exception):
    """A command cannot be carried out; the message says why."""

    def __init__(self, error_class: ErrorClass, description: str) -> None:
        super().__init__(description)
        self.error_class = error_class


def line(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def event(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Something has happened now."""
    seconds, fraction = divmod(time(), 1)
    stamp = {"seconds": int(seconds), "microseconds": int(fraction * 1_000_000)}
    return {"event": name, "data": data, "timestamp": stamp}


def error(error_class: ErrorClass, description: str) -> dict[str, Any]:
    """The answer to a command that cannot be carried out."""
    return {"error": {"class": error_class.value, "description": description}}


def packed(data: bytes) -> str:
    """A console's bytes in a message."""
    return base64.b64encode(data).decode()


def unpacked(text: str) -> bytes:
    """Back again; ValueError if it is no base64."""
    return base64.b64decode(text, validate=True)


def socket_directory() -> Path:
    """Where sockets are unless something else is asked for; made if need be, for its owner alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        directory = Path(runtime) / "dbt-disco"
    else:
        from runtime.disk_cache import cache_directory

        directory = cache_directory() / "clusters"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise CommandError(f"{directory}: {problem.strerror}; give --socket FILE") from problem
    return directory


def socket_path(cluster: str) -> Path:
    """Of the cluster of that name."""
    return socket_directory() / f"{cluster}.socket"
