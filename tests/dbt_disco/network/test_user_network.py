"""User-mode networking: a guest made of packets, libslirp, and sockets of the host on its loopback."""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from dbt_disco.network import libslirp
from dbt_disco.network.libslirp import LIBRARY, NoUserNetwork
from dbt_disco.network.user_network import BACKLOG, GATEWAY, GUEST, NAME_SERVER, UserNetwork
from tests.dbt_disco.devices.surroundings import ManualSurroundings
from tests.dbt_disco.network.ethernet import (
    ACK,
    ARP,
    BROADCAST,
    FIN,
    GUEST_MAC,
    ICMP,
    IPV4,
    PSH,
    SYN,
    TCP,
    UDP,
    Packet,
    arp_request,
    checksum,
    ethernet,
    ipv4,
    parse,
    with_pseudo_header,
)
from tests.missing import need_libslirp

ANYBODY = IPv4Address("0.0.0.0")
EVERYBODY = IPv4Address("255.255.255.255")


class PacketGuest:
    """A guest that sends and receives packets through a user network, in real time."""

    def __init__(self) -> None:
        self.surroundings = ManualSurroundings()
        self.network = UserNetwork(self.surroundings)
        self.network.connect(lambda: None)
        self.gateway_mac = BROADCAST
        self._clock = time.monotonic_ns()

    def turn(self, seconds: float = 0.02) -> None:
        """What a virtual machine does between instructions: timers, and descriptors that are readable."""
        ready, _, _ = select.select(list(self.surroundings.watched), [], [], seconds)
        for descriptor in ready:
            self.surroundings.watched[descriptor]()
        now = time.monotonic_ns()
        self.surroundings.advance(now - self._clock)
        self._clock = now

    def wait(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The first frame received that is `wanted`; others are lost."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            while (frame := self.network.receive()) is not None:
                if wanted(frame):
                    return frame
            self.turn()
        raise AssertionError("no such frame came")

    def wait_for_packet(self, wanted: Callable[[Packet], bool]) -> Packet:
        def is_wanted(frame: bytes) -> bool:
            packet = parse(frame)
            return packet is not None and wanted(packet)

        packet = parse(self.wait(is_wanted))
        assert packet is not None
        return packet

    def find_gateway(self) -> None:
        """Also tells the gateway who we are."""
        self.network.send(arp_request(GUEST, GATEWAY))
        reply = self.wait(lambda frame: frame[12:14] == struct.pack(">H", ARP))
        assert reply[:6] == GUEST_MAC and reply[28:32] == GATEWAY.packed and reply[38:42] == GUEST.packed
        self.gateway_mac = reply[22:28]

    def send_udp(
        self,
        port: int,
        payload: bytes,
        source_port: int = 1000,
        source: IPv4Address = GUEST,
        destination: IPv4Address = GATEWAY,
    ) -> None:
        segment = struct.pack(">HHHH", source_port, port, 8 + len(payload), 0) + payload
        segment = with_pseudo_header(source, destination, UDP, segment, 6)
        self.network.send(ethernet(self.gateway_mac, IPV4, ipv4(source, destination, UDP, segment)))

    def send_tcp(
        self, ports: tuple[int, int], numbers: tuple[int, int], flags: int, payload: bytes = b""
    ) -> None:
        segment = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 0xFFFF, 0, 0) + payload
        segment = with_pseudo_header(GUEST, GATEWAY, TCP, segment, 16)
        self.network.send(ethernet(self.gateway_mac, IPV4, ipv4(GUEST, GATEWAY, TCP, segment)))


@pytest.fixture
def guest() -> Iterator[PacketGuest]:
    need_libslirp()
    guest = PacketGuest()
    guest.find_gateway()
    yield guest
    guest.network.close()
    assert not guest.surroundings.watched and not guest.surroundings.timers()


def test_dhcp_gives_the_addresses_that_qemu_gives(guest: PacketGuest) -> None:
    discover = struct.pack(">BBBBIHH16x", 1, 1, 6, 0, 0x1234, 0, 0) + GUEST_MAC.ljust(16 + 64 + 128, b"\0")
    options = bytes.fromhex("63825363 350101 ff")
    guest.send_udp(67, discover + options, source_port=68, source=ANYBODY, destination=EVERYBODY)
    offer = guest.wait_for_packet(lambda packet: packet.destination_port == 68).payload
    assert IPv4Address(offer[16:20]) == GUEST
    given = dict(dhcp_options(offer[240:]))
    assert given[53] == b"\x02"
    assert given[1] == IPv4Address("255.255.255.0").packed
    assert given[3] == GATEWAY.packed
    assert given[6] == NAME_SERVER.packed


def dhcp_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data and data[0] != 0xFF:
        yield data[0], data[2 : 2 + data[1]]
        data = data[2 + data[1] :]


def test_the_gateway_answers_ping(guest: PacketGuest) -> None:
    echo = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + b"are you there?"
    echo = echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:]
    guest.network.send(ethernet(guest.gateway_mac, IPV4, ipv4(GUEST, GATEWAY, ICMP, echo)))
    reply = guest.wait_for_packet(lambda packet: packet.protocol == ICMP)
    assert reply.source == GATEWAY and reply.payload == b"are you there?"


def test_datagrams_go_to_the_host_and_back(guest: PacketGuest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        guest.send_udp(server.getsockname()[1], b"question")
        guest.turn()
        data, sender = server.recvfrom(100)
        assert data == b"question"
        server.sendto(b"answer", sender)
        reply = guest.wait_for_packet(lambda packet: packet.protocol == UDP)
        assert (reply.source, reply.destination_port, reply.payload) == (GATEWAY, 1000, b"answer")


def connect(guest: PacketGuest, ports: tuple[int, int]) -> tuple[int, int]:
    """Open a connection; returns our next sequence number and the next that is expected of the other side."""
    guest.send_tcp(ports, (100, 0), SYN)
    reply = guest.wait_for_packet(lambda packet: packet.flags == SYN | ACK)
    assert reply.acknowledged == 101
    guest.send_tcp(ports, (101, reply.sequence + 1), ACK)
    return 101, reply.sequence + 1


def test_a_connection_to_the_host(guest: PacketGuest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        ports = (2000, server.getsockname()[1])
        ours, theirs = connect(guest, ports)
        connection, _ = server.accept()
        with connection:
            guest.send_tcp(ports, (ours, theirs), ACK | PSH, b"GET /")
            guest.wait_for_packet(lambda packet: packet.acknowledged == ours + 5)
            assert connection.recv(100) == b"GET /"
            connection.sendall(b"HTTP/1.1 200 OK")
            reply = guest.wait_for_packet(lambda packet: bool(packet.payload))
            assert reply.payload == b"HTTP/1.1 200 OK" and reply.sequence == theirs
            guest.send_tcp(ports, (ours + 5, theirs + 15), ACK | FIN)
            guest.wait_for_packet(lambda packet: packet.acknowledged == ours + 6)
            assert connection.recv(100) == b""


def test_a_port_of_the_host_leads_to_the_guest(guest: PacketGuest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    guest.network.forward(port, 22)
    guest.turn()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        knock = guest.wait_for_packet(lambda packet: packet.flags == SYN)
        assert knock.destination_port == 22 and knock.destination == GUEST
        ports = (22, knock.source_port)
        guest.send_tcp(ports, (500, knock.sequence + 1), SYN | ACK)
        guest.wait_for_packet(lambda packet: packet.acknowledged == 501)
        guest.send_tcp(ports, (501, knock.sequence + 1), ACK | PSH, b"SSH-2.0")
        guest.wait_for_packet(lambda packet: packet.acknowledged == 508)
        assert client.recv(100) == b"SSH-2.0"


def test_a_port_that_is_taken_cannot_be_forwarded(guest: PacketGuest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be forwarded"):
            guest.network.forward(port, 22)


def test_a_guest_that_takes_no_frames_holds_the_host_back(guest: PacketGuest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        guest.send_udp(server.getsockname()[1], b"send me everything")
        guest.turn()
        _, sender = server.recvfrom(100)
        sent = 0
        while guest.surroundings.watched and sent < 2 * BACKLOG:
            server.sendto(sent.to_bytes(4, "big") * 10, sender)
            sent += 1
            guest.turn(0)
        assert sent == BACKLOG, "frames were lost, or sockets are still being read"
        server.sendto(b"late", sender)
        guest.turn(0)
        received = [guest.wait_for_packet(lambda packet: packet.protocol == UDP) for _ in range(sent + 1)]
        numbers = [int.from_bytes(packet.payload[:4], "big") for packet in received[:-1]]
        assert numbers == list(range(sent)) and received[-1].payload == b"late"
        assert guest.surroundings.watched


def test_frames_of_any_kind_do_no_harm(guest: PacketGuest, first_seed: int) -> None:
    dice = random.Random(first_seed)
    good = arp_request(GUEST, GATEWAY)
    for _ in range(2000):
        frame = bytearray(dice.choice((good, dice.randbytes(dice.randrange(1515)))))
        for _ in range(dice.randrange(4)):
            if frame:
                frame[dice.randrange(len(frame))] = dice.getrandbits(8)
        guest.network.send(bytes(frame))
        while guest.network.receive() is not None:
            pass
    guest.turn()
    guest.find_gateway()


def test_a_missing_library_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libslirp, "LIBRARY", "libnone.so.0")
    with pytest.raises(NoUserNetwork) as raised:
        UserNetwork(ManualSurroundings())
    assert str(raised.value) == (
        "--net user: libnone.so.0 cannot be loaded; install the package libslirp0 (libslirp), or use --net none"
    )
    assert raised.value.exit_status == 1
    assert LIBRARY == "libslirp.so.0"
