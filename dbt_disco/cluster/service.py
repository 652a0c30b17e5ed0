"""A cluster from its start to its end in this process: `dbt-disco cluster up`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import localtime, strftime
from typing import Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import ClusterConfiguration
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.server import Server
from runtime.system.idle_loop import TIMER_SIGNALS

_log: Final = logging.getLogger("dbt_disco.cluster")
SWITCH_INTERVAL: Final = 0.0005
"""Seconds that a thread has Python to itself while others want it: processors' threads need it for moments only."""
_STOPPING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_LOOK: Final = 0.25
"""Seconds between two looks at whether all is over."""


def serve(
    configuration: ClusterConfiguration,
    path: Path,
    *,
    ends_by_itself: bool,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Run the cluster, reachable at the socket `path`, until it is told to go down; returns the exit status.

    `ends_by_itself`: also when no virtual machine runs any more. `ready` is called when the socket answers.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, TIMER_SIGNALS)
    sys.setswitchinterval(SWITCH_INTERVAL)
    return asyncio.run(_serve(configuration, path, ends_by_itself, ready))


async def _serve(
    configuration: ClusterConfiguration, path: Path, ends_by_itself: bool, ready: Callable[[], None]
) -> int:
    cluster = Cluster(configuration)
    server = Server(cluster, path)
    await server.start()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, server.goes_down.set)
    _log.info("cluster %s: up, reachable at %s", configuration.name, path)
    cluster.start()
    ready()
    status_line = StatusLine(cluster)
    try:
        while not server.goes_down.is_set() and not (ends_by_itself and cluster.has_ended):
            status_line.show()
            try:
                await asyncio.wait_for(server.goes_down.wait(), _LOOK)
            except TimeoutError:
                continue
    finally:
        status_line.clear()
        failed = [member.name for member in cluster.members.values() if member.state is MemberState.FAILED]
        await asyncio.to_thread(cluster.close)
        server.close()
        _log.info("cluster %s: down", configuration.name)
        server.hang_up()
        await asyncio.sleep(0)
    return 1 if failed else 0


class StatusLine:
    """The last line of a terminal on standard error, which says how many are in what state."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._shown = ""

    def show(self) -> None:
        """Bring it up to date."""
        if not sys.stderr.isatty():
            return
        states = Counter(member.state.value for member in self._cluster.members.values())
        memory = self._cluster.machine.memory.allocated >> 8
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        text = f"{self._cluster.configuration.name}: {counts}; {memory} MB in use; Ctrl-C ends it"
        if text != self._shown:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
            self._shown = text

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = ""


class LogLines(logging.Formatter):
    """Lines with times in the local zone, to milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.created % 1 * 1000)
        stamp = strftime("%Y-%m-%d %H:%M:%S", localtime(record.created)) + f".{milliseconds:03}"
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        return f"{clear}{stamp} {super().format(record)}"


def log_to_standard_error() -> None:
    """Have the cluster's log there."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
