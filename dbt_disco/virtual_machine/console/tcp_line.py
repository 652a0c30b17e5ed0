"""A serial line over a TCP connection, as client or server."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from dataclasses import dataclass
from typing import Final

from dbt_disco.virtual_machine.console.line import DescriptorLine, LineError, Output
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings

_CONNECT_SECONDS: Final = 30


@dataclass(frozen=True)
class TcpOptions:
    """What follows `tcp:`."""

    host: str
    port: int
    server: bool = False
    wait: bool = True
    """A server: whether the virtual machine waits for the first client."""


class TcpLine(DescriptorLine):
    """Output while nobody is connected is lost. A server takes one client after the other."""

    def __init__(self, options: TcpOptions) -> None:
        """Connect, or start to listen; LineError if that fails."""
        super().__init__()
        self._options = options
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._started: RunSurroundings | None = None
        address = (options.host, options.port)
        try:
            if options.server:
                self._listener = socket.create_server(address, family=_family(options.host))
                self._listener.setblocking(False)
            else:
                self._connection = socket.create_connection(address, _CONNECT_SECONDS)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LineError(f"--serial tcp:{options.host}:{options.port}: {reason}") from error

    @property
    def port(self) -> int:
        """A server's own port, also where the options leave it to the host (0)."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def start(self, surroundings: RunSurroundings) -> None:
        self._started = surroundings
        if self._listener is not None and self._options.wait:
            print(f"dbt-disco: waiting for a connection to port {self.port}", file=sys.stderr, flush=True)
            if surroundings.descriptors.wait_for(self._listener.fileno(), select.POLLIN):
                self._accept()
        elif self._listener is not None:
            surroundings.watch(self._listener.fileno(), self._accept)
        else:
            self._use_connection()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.flush()
        self._hang_up()
        if self._listener is not None:
            if self._started is not None:
                self._started.unwatch(self._listener.fileno())
            self._listener.close()

    def _accept(self) -> None:
        assert self._listener is not None and self._started is not None
        try:
            self._connection, _ = self._listener.accept()
        except OSError:  # it has gone again
            self._started.watch(self._listener.fileno(), self._accept)
            return
        self._started.unwatch(self._listener.fileno())
        self._use_connection()

    def _use_connection(self) -> None:
        assert self._connection is not None and self._started is not None
        self._connection.setblocking(False)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = self._connection.fileno()
        self._use(self._started, readable=descriptor, output=Output(descriptor, self._started.descriptors))

    def _input_ended(self) -> None:
        self._next_client()

    def _output_failed(self, error: OSError) -> None:
        self._next_client()

    def _next_client(self) -> None:
        self._hang_up()
        if self._listener is not None and self._started is not None:
            self._started.watch(self._listener.fileno(), self._accept)

    def _hang_up(self) -> None:
        if self._started is not None:
            self._use(self._started, readable=None, output=None)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
