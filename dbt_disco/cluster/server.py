"""The control socket's server: clients come and go, and are told what happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.commands import Commands
from dbt_disco.cluster.connection import Connection
from dbt_disco.cluster.member import Member
from dbt_disco.cluster.protocol import GREETING, VERSION, event
from dbt_disco.cluster.socket_file import listen

_COLLECTING_TIME: Final = 0.005
"""Seconds that consoles' output is collected before it is sent."""


class Server:
    """Runs on an event loop, and listens to a cluster, whose threads only leave notes."""

    def __init__(self, cluster: Cluster, path: Path) -> None:
        self.path: Final = path
        self.goes_down: Final = asyncio.Event()
        """Set when somebody wants the cluster's end."""
        self._cluster = cluster
        self._commands = Commands(cluster, self.goes_down.set)
        self._connections: set[Connection] = set()
        self._loop: Final = asyncio.get_running_loop()
        self._changed: set[Member] = set()
        """Consoles with output that has not been sent yet, and will be."""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; CommandError if the socket cannot be had."""
        listener = listen(self.path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)
        self._cluster.listener = self

    def close(self) -> None:
        """Take no new clients; `hang_up` on those that are there."""
        self._cluster.listener = None
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def hang_up(self) -> None:
        """Tell clients that this is the end."""
        for connection in self._connections:
            connection.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._commands, reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve(self._greeting())
        finally:
            self._connections.discard(connection)
            connection.close()

    def _greeting(self) -> dict[str, Any]:
        try:
            release = version("dbt-disco")
        except PackageNotFoundError:
            release = ""
        configuration = self._cluster.configuration
        about = {
            "protocol": VERSION,
            "version": release,
            "cluster": configuration.name,
            "file": str(configuration.file),
            "process": os.getpid(),
        }
        return {GREETING: about}

    # The cluster's listener, on any thread.

    def state_changed(self, member: Member, reason: str) -> None:
        """See `Listener`."""
        message = event("VM_STATE", {"vm": member.name, "state": member.life.value, "reason": reason})
        self._on_loop(self._tell_state, member, message)

    def console_changed(self, member: Member) -> None:
        """See `Listener`."""
        if member in self._changed or not self._connections:
            return
        if any(connection.is_subscribed(member) for connection in list(self._connections)):
            self._changed.add(member)
            self._on_loop(self._loop.call_later, _COLLECTING_TIME, self._send_console, member)

    def _on_loop(self, action: Any, *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(action, *arguments)

    # On the loop.

    def _tell_state(self, member: Member, message: dict[str, Any]) -> None:
        self._send_console(member)  # what it has written before
        for connection in self._connections:
            connection.tell(message)

    def _send_console(self, member: Member) -> None:
        self._changed.discard(member)
        for connection in self._connections:
            connection.console_changed(member)
