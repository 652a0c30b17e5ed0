"""A cluster in the background: a process in a session of its own, with a log file for what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from dbt_disco.cluster.socket_file import refuse_if_alive
from dbt_disco.command_error import CommandError

READY_VARIABLE: Final = "DBT_DISCO_READY_DESCRIPTOR"
"""Environment variable: where the process in the background says that it answers."""
_LAST_WORDS: Final = 4096


def detach(file: Path, path: Path, log: Path) -> int:
    """Start `cluster up` in the background; its process number when it answers. CommandError if it does not."""
    refuse_if_alive(path)
    ready, said_ready = os.pipe()
    command = [sys.executable, "-m", "dbt_disco", "cluster", "up", str(file.absolute())]
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{log}: {error.strerror}; give another --log FILE") from error
    start = os.fstat(descriptor).st_size
    process = subprocess.Popen(
        [*command, "--socket", str(path.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=descriptor,
        stderr=descriptor,
        start_new_session=True,
        pass_fds=(said_ready,),
        env={**os.environ, READY_VARIABLE: str(said_ready)},
    )
    os.close(said_ready)
    os.close(descriptor)
    answer = os.read(ready, 1)
    os.close(ready)
    if not answer:
        process.wait()
        words = log.read_bytes()[start:][-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
        reason = words[-1].removeprefix("dbt-disco: ") if words else "it ended at once"
        raise CommandError(f"the cluster did not start: {reason} (log: {log})")
    process.returncode = 0  # it is to outlive us, and that is no reason for a warning
    return process.pid


def is_detached() -> bool:
    """Whether this process has been started by `detach`."""
    return READY_VARIABLE in os.environ


def say_ready() -> None:
    """In the background: the cluster answers."""
    os.chdir("/")
    descriptor = int(os.environ.pop(READY_VARIABLE))
    os.write(descriptor, b"\n")
    os.close(descriptor)
