"""What follows `--net`: `none`, or `user` with ports to be forwarded, in QEMU's words."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from dbt_disco.command_error import CommandError

if TYPE_CHECKING:
    from dbt_disco.devices.device import Surroundings
    from dbt_disco.network.user_network import UserNetwork

_FORM: Final = "hostfwd=tcp|udp:[HOST-ADDRESS]:PORT-[GUEST-ADDRESS]:PORT"
_PORTS: Final = range(1, 1 << 16)


class ForwardingError(CommandError):
    """A port of the host cannot be had."""


@dataclass(frozen=True)
class Forwarding:
    """Connections to a port of the host that the guest answers."""

    udp: bool
    host_port: int
    guest_port: int
    host: IPv4Address | None = None
    """None: this host alone can connect."""
    guest: IPv4Address | None = None
    """None: the address that the guest gets."""


@dataclass(frozen=True)
class UserNetworkOption:
    """User-mode networking."""

    forwardings: tuple[Forwarding, ...] = ()

    def open(self, surroundings: Surroundings) -> UserNetwork:
        """CommandError if the host has no libslirp, or if a port is taken."""
        from dbt_disco.network.user_network import GUEST, LOOPBACK, UserNetwork

        network = UserNetwork(surroundings)
        for forwarding in self.forwardings:
            try:
                network.forward(
                    forwarding.host_port,
                    forwarding.guest_port,
                    udp=forwarding.udp,
                    host=forwarding.host or LOOPBACK,
                    guest=forwarding.guest or GUEST,
                )
            except OSError as error:
                network.close()
                raise ForwardingError(f"--net user: {error.strerror}; choose another port") from error
        return network


def parse_network(text: str) -> UserNetworkOption | None:
    """Read `none` (None) or `user[,hostfwd=…]…`; ValueError with the reason if the text is neither."""
    kind, *settings = text.split(",")
    if kind == "none" and not settings:
        return None
    if kind != "user":
        raise ValueError(f"{text}: it is none, or user[,{_FORM}]…")
    return UserNetworkOption(tuple(_parse_forwarding(setting) for setting in settings))


def _parse_forwarding(setting: str) -> Forwarding:
    key, _, value = setting.partition("=")
    protocol, _, rest = value.partition(":")
    host_side, dash, guest_side = rest.partition("-")
    if key != "hostfwd" or protocol not in ("tcp", "udp", "") or not dash:
        raise ValueError(f"{setting}: it is {_FORM}")
    host, host_port = _parse_side(setting, host_side)
    guest, guest_port = _parse_side(setting, guest_side)
    return Forwarding(protocol == "udp", host_port, guest_port, host, guest)


def _parse_side(setting: str, side: str) -> tuple[IPv4Address | None, int]:
    address, colon, port = side.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) not in _PORTS:
        raise ValueError(f"{setting}: {side!r} is not [ADDRESS]:PORT")
    try:
        return (IPv4Address(address) if address else None), int(port)
    except ValueError:
        raise ValueError(f"{setting}: {address!r} is no IPv4 address") from None
