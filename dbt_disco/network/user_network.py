"""User-mode networking: the guest behind a router that is libslirp, with the addresses that QEMU gives.

The guest reaches whatever the host's user reaches, through sockets of this process; the host itself is the gateway,
10.0.2.2. No privileges are needed, and nothing reaches the guest but what it asked for or what is forwarded.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from dbt_disco.devices.device import Surroundings, Timer
from dbt_disco.network.libslirp import (
    POLL_ERROR,
    POLL_HANG_UP,
    POLL_IN,
    POLL_OUT,
    POLL_PRIORITY,
    Slirp,
)

NETWORK: Final = IPv4Network("10.0.2.0/24")
GATEWAY: Final = IPv4Address("10.0.2.2")
NAME_SERVER: Final = IPv4Address("10.0.2.3")
GUEST: Final = IPv4Address("10.0.2.15")
"""The address that DHCP gives; one guest is alone in its network."""
LOOPBACK: Final = IPv4Address("127.0.0.1")

BACKLOG: Final = 512
"""Frames that may wait for the guest; while there are more, nothing is read from the host's sockets."""
_BACKLOG_MAX: Final = 4 * BACKLOG
_NANOSECONDS: Final = 1_000_000

_EPOLL_BITS: Final = {
    POLL_IN: select.EPOLLIN,
    POLL_OUT: select.EPOLLOUT,
    POLL_PRIORITY: select.EPOLLPRI,
    POLL_ERROR: select.EPOLLERR,
    POLL_HANG_UP: select.EPOLLHUP,
}


class UserNetwork:
    """A `NetworkBackend` for one guest.

    libslirp's sockets are gathered in one epoll descriptor, which is readable when any of them has something to do.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        """`NoUserNetwork` if libslirp is not installed."""
        self._surroundings = surroundings
        self._frames = deque[bytes]()
        self._arrived: Callable[[], None] = lambda: None
        self._slirp = Slirp(
            NETWORK,
            gateway=GATEWAY,
            first_lease=GUEST,
            name_server=NAME_SERVER,
            send_packet=self._keep,
            now=surroundings.now,
        )
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}
        self._polled: list[tuple[int, int]] = []
        self._timer: Timer | None = None
        self._held_back = False
        surroundings.watch(self._epoll.fileno(), self._run)
        self._run_at(surroundings.now())

    def close(self) -> None:
        """Close all connections; nothing else may be called afterwards."""
        self._hold_back()
        self._epoll.close()
        self._slirp.close()

    def forward(
        self,
        host_port: int,
        guest_port: int,
        *,
        udp: bool = False,
        host: IPv4Address = LOOPBACK,
        guest: IPv4Address = GUEST,
    ) -> None:
        """Let others connect to `guest_port` through a port of the host; `OSError` if that is taken."""
        self._slirp.forward(udp, (host, host_port), (guest, guest_port))
        self._run_at(self._surroundings.now())

    def connect(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived

    def send(self, frame: bytes) -> None:
        self._slirp.input(frame)
        if not self._held_back:
            self._run_at(self._surroundings.now())  # once for all frames that are sent together
        self._announce()

    def receive(self) -> bytes | None:
        if self._held_back and len(self._frames) <= BACKLOG // 2:
            self._held_back = False
            self._surroundings.watch(self._epoll.fileno(), self._run)
            self._run_at(self._surroundings.now())
        return self._frames.popleft() if self._frames else None

    def _keep(self, frame: bytes) -> None:
        """Called by libslirp; what would exceed the limit is lost, which TCP notices and others must expect."""
        if len(self._frames) < _BACKLOG_MAX:
            self._frames.append(frame)

    def _announce(self) -> None:
        if self._frames:
            self._arrived()

    def _run(self) -> None:
        """Let libslirp do what its sockets and its clock ask for."""
        ready = dict(self._epoll.poll(0))
        self._slirp.poll(lambda index: _from_epoll(ready.get(self._polled[index][0], 0)))
        self._announce()
        if len(self._frames) >= BACKLOG:
            self._hold_back()
            return
        self._polled, timeout = self._slirp.wanted()
        self._register({descriptor: _to_epoll(events) for descriptor, events in self._polled})
        self._run_at(self._surroundings.now() + timeout * _NANOSECONDS)

    def _run_at(self, time: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._surroundings.call_at(time, self._run_timer)

    def _run_timer(self) -> None:
        self._timer = None
        self._run()

    def _hold_back(self) -> None:
        """Stop until `receive` has taken frames."""
        if not self._held_back:
            self._held_back = True
            self._surroundings.unwatch(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _register(self, wanted: dict[int, int]) -> None:
        """Have epoll wait for just what is wanted. A closed descriptor has left epoll by itself."""
        for descriptor in self._registered.keys() - wanted.keys():
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                continue
        for descriptor, events in wanted.items():
            try:
                self._epoll.modify(descriptor, events)
            except FileNotFoundError:
                self._epoll.register(descriptor, events)
        self._registered = wanted


def _to_epoll(events: int) -> int:
    return sum(epoll for poll, epoll in _EPOLL_BITS.items() if events & poll)


def _from_epoll(events: int) -> int:
    return sum(poll for poll, epoll in _EPOLL_BITS.items() if events & epoll)
