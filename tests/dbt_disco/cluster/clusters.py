"""Clusters of small bare-metal programs, for tests."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dbt_disco.cluster.client import Client
from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import (
    ClusterConfiguration,
    MachineConfiguration,
    MemberConfiguration,
    Restart,
    Shutdown,
)
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.cluster.server import Server
from dbt_disco.virtual_machine.configuration import Configuration
from runtime.system.content_sharing import ContentSharing
from runtime.system.idle_loop import TIMER_SIGNALS

MEMORY_SIZE = 4 << 20
TIMEOUT = 60


def member(
    name: str,
    kernel: Path,
    *,
    home_node: int = 0,
    restart: Restart = Restart.NEVER,
    memory: int = MEMORY_SIZE,
    shutdown: Shutdown = Shutdown.NONE,
) -> MemberConfiguration:
    """A virtual machine that boots `kernel`."""
    return MemberConfiguration(
        name, Configuration(kernel, memory_size=memory, name=name), home_node, restart, shutdown
    )


@contextmanager
def running(
    members: Sequence[MemberConfiguration], machine: MachineConfiguration | None = None
) -> Iterator[Cluster]:
    """A cluster that has been started, on two CPUs unless said otherwise."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TIMER_SIGNALS)
    try:
        machine = machine or MachineConfiguration(1, 2, 64 << 20)
        cluster = Cluster(ClusterConfiguration("test", machine, tuple(members), Path("test.toml")))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def serving(cluster: Cluster, path: Path) -> Iterator[Path]:
    """The control socket, whose server has a thread of its own."""
    started = threading.Event()

    async def serve() -> None:
        server = Server(cluster, path)
        await server.start()
        started.set()
        await server.goes_down.wait()
        server.close()
        server.hang_up()
        await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(TIMEOUT)
    try:
        yield path
    finally:
        if path.exists():
            with Client(path) as client:
                client.execute("down")
        thread.join()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to come true, and fail if it does not."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT} seconds"
        time.sleep(0.005)


def wait_for_state(member: Member, *states: MemberState) -> None:
    """Wait until a member is in one of some states."""
    wait_until(lambda: member.state in states, f"{member.name} {' or '.join(s.value for s in states)}")


def wait_for_output(member: Member, text: bytes, position: int = 0) -> int:
    """Wait for a text in a console's output behind a position; the position behind the text."""
    wait_until(lambda: text in member.console.read(position)[0], f"{text!r} from {member.name}")
    return position + member.console.read(position)[0].index(text) + len(text)


def share_equal_pages(cluster: Cluster) -> None:
    """Make one of all pages that hold the same, at once; on the keeper's thread."""
    tasks = [member.task for member in cluster.members.values() if member.task is not None]
    memories = [task.virtual_machine.memory for task in tasks]
    with cluster.scheduler.hold(*tasks):
        sharing = ContentSharing(cluster.machine.memory)
        sharing.look(memories)
        sharing.join(sharing.look(memories), 1 << 62)
