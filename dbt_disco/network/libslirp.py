"""The part of libslirp's interface that is used here (libslirp.h), through ctypes.

A configuration of version 1 has all that IPv4 needs; every libslirp 4.x takes it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_void_p
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from dbt_disco.command_error import CommandError

LIBRARY: Final = "libslirp.so.0"
CONFIGURATION_VERSION: Final = 1
NO_TIMEOUT: Final = 0xFFFF_FFFF
"""What `slirp_pollfds_fill` takes for "as long as nothing happens", in milliseconds."""

POLL_IN, POLL_OUT, POLL_PRIORITY, POLL_ERROR, POLL_HANG_UP = (1 << bit for bit in range(5))


class NoUserNetwork(CommandError):
    """User-mode networking cannot be had on this host."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"--net user: {reason}; install the package libslirp0 (libslirp), or use --net none")


class Ipv4(ctypes.Structure):
    """`struct in_addr`: the address in network order, aligned as an integer."""

    _fields_ = [("address", ctypes.c_uint32)]

    @classmethod
    def of(cls, address: IPv4Address) -> Ipv4:
        return cls(int.from_bytes(address.packed, sys.byteorder))


class _Ipv6(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint32 * 4)]


class Configuration(ctypes.Structure):
    """`SlirpConfig` up to the end of its version 1."""

    _fields_ = [
        ("version", ctypes.c_uint32),
        ("restricted", c_int),
        ("in_enabled", c_bool),
        ("vnetwork", Ipv4),
        ("vnetmask", Ipv4),
        ("vhost", Ipv4),
        ("in6_enabled", c_bool),
        ("vprefix_addr6", _Ipv6),
        ("vprefix_len", ctypes.c_uint8),
        ("vhost6", _Ipv6),
        ("vhostname", c_char_p),
        ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p),
        ("bootfile", c_char_p),
        ("vdhcp_start", Ipv4),
        ("vnameserver", Ipv4),
        ("vnameserver6", _Ipv6),
        ("vdnssearch", POINTER(c_char_p)),
        ("vdomainname", c_char_p),
        ("if_mtu", c_size_t),
        ("if_mru", c_size_t),
        ("disable_host_loopback", c_bool),
        ("enable_emu", c_bool),
    ]


SendPacket = CFUNCTYPE(c_ssize_t, c_void_p, c_size_t, c_void_p)
GuestError = CFUNCTYPE(None, c_char_p, c_void_p)
ClockNanoseconds = CFUNCTYPE(c_int64, c_void_p)
PollDescriptor = CFUNCTYPE(None, c_int, c_void_p)
Notify = CFUNCTYPE(None, c_void_p)
AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
GetEvents = CFUNCTYPE(c_int, c_int, c_void_p)


class Callbacks(ctypes.Structure):
    """`SlirpCb` of version 1. Timers exist for IPv6 only, so the three callbacks for them stay null."""

    _fields_ = [
        ("send_packet", SendPacket),
        ("guest_error", GuestError),
        ("clock_get_ns", ClockNanoseconds),
        ("timer_new", c_void_p),
        ("timer_free", c_void_p),
        ("timer_mod", c_void_p),
        ("register_poll_fd", PollDescriptor),
        ("unregister_poll_fd", PollDescriptor),
        ("notify", Notify),
    ]


class Slirp:
    """One user-mode network stack.

    Exceptions must not leave a callback: ctypes would only print them.
    """

    def __init__(
        self,
        network: IPv4Network,
        *,
        gateway: IPv4Address,
        first_lease: IPv4Address,
        name_server: IPv4Address,
        send_packet: Callable[[bytes], None],
        now: Callable[[], int],
    ) -> None:
        """A stack for `network`; it calls `send_packet` with frames for the guest, `now` for nanoseconds."""
        self._library = _load()
        self._callbacks = Callbacks(
            send_packet=SendPacket(lambda data, length, _: _hand_over(data, length, send_packet)),
            guest_error=GuestError(lambda message, _: None),
            clock_get_ns=ClockNanoseconds(lambda _: now()),
            register_poll_fd=PollDescriptor(lambda descriptor, _: None),
            unregister_poll_fd=PollDescriptor(lambda descriptor, _: None),
            notify=Notify(lambda _: None),
        )
        configuration = Configuration(
            version=CONFIGURATION_VERSION,
            in_enabled=True,
            vnetwork=Ipv4.of(network.network_address),
            vnetmask=Ipv4.of(network.netmask),
            vhost=Ipv4.of(gateway),
            vdhcp_start=Ipv4.of(first_lease),
            vnameserver=Ipv4.of(name_server),
        )
        self._slirp = c_void_p(
            self._library.slirp_new(ctypes.byref(configuration), ctypes.byref(self._callbacks), None)
        )
        if not self._slirp:
            version = self._library.slirp_version_string().decode()
            raise NoUserNetwork(f"libslirp {version} refuses its configuration")

    def close(self) -> None:
        """Close all connections; nothing else may be called afterwards."""
        self._library.slirp_cleanup(self._slirp)

    def input(self, frame: bytes) -> None:
        """A frame from the guest."""
        self._library.slirp_input(self._slirp, frame, len(frame))

    def wanted(self) -> tuple[list[tuple[int, int]], int]:
        """What to wait for: (descriptor, POLL_ bits), and for how many milliseconds at most."""
        descriptors: list[tuple[int, int]] = []

        def add(descriptor: int, events: int, _: None) -> int:
            descriptors.append((descriptor, events))
            return len(descriptors) - 1

        timeout = ctypes.c_uint32(NO_TIMEOUT)
        self._library.slirp_pollfds_fill(self._slirp, ctypes.byref(timeout), AddPoll(add), None)
        return descriptors, timeout.value

    def poll(self, events: Callable[[int], int]) -> None:
        """Do what is due: `events` gives the POLL_ bits for an index into what `wanted` has listed last."""
        get = GetEvents(lambda index, _: events(index))
        self._library.slirp_pollfds_poll(self._slirp, 0, get, None)

    def forward(self, udp: bool, host: tuple[IPv4Address, int], guest: tuple[IPv4Address, int]) -> None:
        """Pass connections to a port of the host on to one of the guest; `OSError` if it cannot be had."""
        if self._library.slirp_add_hostfwd(
            self._slirp, udp, Ipv4.of(host[0]), host[1], Ipv4.of(guest[0]), guest[1]
        ):
            error = ctypes.get_errno()
            raise OSError(error, f"port {host[1]} of {host[0]} cannot be forwarded")


def _hand_over(data: int, length: int, send_packet: Callable[[bytes], None]) -> int:
    send_packet(ctypes.string_at(data, length))
    return length


def _load() -> Any:
    """The library, with the types of the functions used."""
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as error:
        raise NoUserNetwork(f"{LIBRARY} cannot be loaded") from error
    for name, result, *arguments in (
        ("slirp_version_string", c_char_p),
        ("slirp_new", c_void_p, POINTER(Configuration), POINTER(Callbacks), c_void_p),
        ("slirp_cleanup", None, c_void_p),
        ("slirp_input", None, c_void_p, c_char_p, c_int),
        ("slirp_pollfds_fill", None, c_void_p, POINTER(ctypes.c_uint32), AddPoll, c_void_p),
        ("slirp_pollfds_poll", None, c_void_p, c_int, GetEvents, c_void_p),
        ("slirp_add_hostfwd", c_int, c_void_p, c_int, Ipv4, c_int, Ipv4, c_int),
    ):
        function = getattr(library, str(name))
        function.restype, function.argtypes = result, arguments
    return library
