"""The client's end of a control socket, as the command line has it."""

from __future__ import annotations

import json
import socket
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from dbt_disco.cluster.protocol import GREETING, VERSION, line, socket_directory, socket_path
from dbt_disco.command_error import CommandError

_READ_SIZE: Final = 1 << 16


class Refused(CommandError):
    """The cluster cannot carry out a command; the message says why."""


class Client:
    """A connection to a running cluster; a context manager."""

    def __init__(self, path: Path) -> None:
        """CommandError if nobody answers there, or not in our language."""
        self._path = path
        self._received = b""
        self._events: deque[dict[str, Any]] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise CommandError(f"{path}: no cluster answers there ({error.strerror or error})") from error
        self.about: dict[str, Any] = self._message().get(GREETING, {})
        """The server's greeting."""
        if self.about.get("protocol") != VERSION:
            self.close()
            raise CommandError(f"{path}: what answers there is no cluster of this version of dbt-disco")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def fileno(self) -> int:
        """For select(2): readable when `receive` may give events."""
        return self._socket.fileno()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Have a command carried out; its result. Refused if it cannot be."""
        try:
            self._socket.sendall(line({"execute": command, "arguments": arguments}))
        except ConnectionError as error:
            raise self._gone() from error
        while True:
            message = self._message()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise Refused(message["error"]["description"])
            else:
                return message["return"]

    def next_event(self) -> dict[str, Any]:
        """The next event; waits for it. CommandError if the cluster goes."""
        while not self._events:
            self._events.append(self._message())
        return self._events.popleft()

    def has_event(self) -> bool:
        """Whether `next_event` needs not wait."""
        return bool(self._events) or b"\n" in self._received

    def wait_for_end(self) -> None:
        """Wait until the server hangs up."""
        while self._socket.recv(_READ_SIZE):
            pass

    def _gone(self) -> CommandError:
        return CommandError(f"{self._path}: the cluster has gone")

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(_READ_SIZE)
            except ConnectionError:
                data = b""
            if not data:
                raise self._gone()
            self._received += data
        text, _, self._received = self._received.partition(b"\n")
        try:
            message: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise CommandError(f"{self._path}: what answers there is no cluster") from error
        return message


def connect(cluster: str | None, path: Path | None) -> Client:
    """To the socket `path`, or to the cluster of that name; if neither is given, to the only one that there is."""
    if path is not None:
        return Client(path)
    if cluster is not None:
        return Client(socket_path(cluster))
    running = []
    for candidate in sorted(socket_directory().glob("*.socket")):
        try:
            running.append(Client(candidate))
        except CommandError:
            continue
    if len(running) == 1:
        return running[0]
    names = ", ".join(client.about["cluster"] for client in running)
    for client in running:
        client.close()
    if names:
        raise CommandError(f"several clusters run: {names}; say which with --cluster NAME", 2)
    raise CommandError("no cluster runs; start one with `dbt-disco cluster up FILE.toml`")
