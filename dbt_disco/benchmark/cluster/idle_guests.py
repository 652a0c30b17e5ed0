"""Debian guests of one cluster that idle at their shells: what processor time their process takes meanwhile.

The cluster is a process of its own, `dbt-disco cluster up`, so that nothing but it is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dbt_disco.cluster.client import Client
from dbt_disco.cluster.protocol import unpacked

if TYPE_CHECKING:
    import psutil

TARGET: Final = 15
"""Percent of a host processor, for eight."""
_PROMPT: Final = b"# "
_SETTLED: Final = 0.3
"""Part of a processor below which, for `_SETTLING` seconds, nothing but the idle guests is left."""
_SETTLING: Final = 3.0
_SETTLING_LIMIT: Final = 60.0
_LOOK: Final = 0.5


@dataclass(frozen=True)
class IdleGuests:
    """What idling has cost."""

    count: int
    seconds: float
    processor_seconds: float
    """User and system time of the cluster's process; its compile worker is another one."""

    @property
    def percent(self) -> float:
        """Of a host processor."""
        return 100 * self.processor_seconds / self.seconds


def measure_idle_guests(
    count: int = 8,
    *,
    memory_mb: int = 128,
    seconds: float = 20,
    time_limit: float = 300,
    environment: Mapping[str, str] | None = None,
) -> IdleGuests:
    """Boot them, wait until all are at the shell and quiet, and take the time. `environment` is added to ours.

    Needs the guest that `dbt-disco fetch debian` makes. TimeoutError if they are not at the shell in `time_limit`
    seconds; CommandError if the cluster ends meanwhile.
    """
    import psutil

    with tempfile.TemporaryDirectory(prefix="dbt-disco-idle-") as directory:
        path, file = Path(directory, "socket"), Path(directory, "idle.toml")
        file.write_text(_configuration(count, memory_mb))
        command = [sys.executable, "-m", "dbt_disco", "cluster", "up", str(file), "--socket", str(path)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict(environment or {}),
        )
        try:
            _wait_for(lambda: path.exists() or process.poll() is not None, time_limit)
            with Client(path) as client:
                _wait_for(lambda: _are_at_the_shell(client), time_limit)
                measured = psutil.Process(process.pid)
                _settle(measured)
                before, start = _processor_seconds(measured), time.perf_counter()
                time.sleep(seconds)
                used, passed = _processor_seconds(measured) - before, time.perf_counter() - start
                client.execute("down")
                client.wait_for_end()
            return IdleGuests(count, passed, used)
        finally:
            process.terminate()
            process.wait()


def _configuration(count: int, memory_mb: int) -> str:
    total = (count + 1) * (memory_mb + 16)
    return f"""\
[machine]
cpus_per_node = {os.cpu_count() or 1}
memory_per_node = "{total}M"

[vms.idle]
kernel = "debian"
memory = "{memory_mb}M"
count = {count}
"""


def _are_at_the_shell(client: Client) -> bool:
    return all(
        any(
            unpacked(line["data"]).endswith(_PROMPT)
            for line in client.execute("console-lines", vm=vm["vm"])[-2:]
        )
        for vm in client.execute("query-vms")
    )


def _settle(process: psutil.Process) -> None:
    """Wait until what was hot has been compiled; not for ever."""
    deadline = time.monotonic() + _SETTLING_LIMIT
    last = _processor_seconds(process)
    while time.monotonic() < deadline:
        time.sleep(_SETTLING)
        now = _processor_seconds(process)
        if now - last < _SETTLED * _SETTLING:
            return
        last = now


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wait_for(condition: Callable[[], bool], time_limit: float) -> None:
    deadline = time.monotonic() + time_limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the guests are not at the shell within {time_limit:g} seconds")
        time.sleep(_LOOK)
