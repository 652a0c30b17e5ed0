"""The file of a control socket: made for its owner alone, and taken over from servers that are gone."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from dbt_disco.command_error import CommandError

_BACKLOG: Final = 128


def refuse_if_alive(path: Path) -> None:
    """CommandError if a server answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return
    raise CommandError(f"{path}: another cluster answers there; `dbt-disco cluster down`, or another name")


def listen(path: Path) -> socket.socket:
    """A socket for its owner alone. A file that a server which is gone has left is taken away."""
    refuse_if_alive(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(f"{path}: {error.strerror or error}; give another --socket FILE") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
