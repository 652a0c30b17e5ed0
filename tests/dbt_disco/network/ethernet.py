"""As much of Ethernet, ARP, IPv4, UDP, TCP and DHCP as a guest in a test needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

GUEST_MAC: Final = bytes.fromhex("525400123456")
BROADCAST: Final = b"\xff" * 6
ARP, IPV4 = 0x0806, 0x0800
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data: bytes) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[start : start + 2], "big") for start in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination: bytes, kind: int, payload: bytes) -> bytes:
    return (destination + GUEST_MAC + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def arp_request(sender: IPv4Address, target: IPv4Address) -> bytes:
    payload = struct.pack(">HHBBH", 1, IPV4, 6, 4, 1) + GUEST_MAC + sender.packed + bytes(6) + target.packed
    return ethernet(BROADCAST, ARP, payload)


def ipv4(source: IPv4Address, destination: IPv4Address, protocol: int, payload: bytes) -> bytes:
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    header += source.packed + destination.packed
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def with_pseudo_header(
    source: IPv4Address, destination: IPv4Address, protocol: int, segment: bytes, position: int
) -> bytes:
    """The segment with the checksum, which also covers the addresses, put in at `position`."""
    pseudo = source.packed + destination.packed + struct.pack(">BBH", 0, protocol, len(segment))
    value = struct.pack(">H", checksum(pseudo + segment))
    return segment[:position] + value + segment[position + 2 :]


@dataclass
class Packet:
    """What the guest received, as far as it is IPv4 with ports."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    source_port: int
    destination_port: int
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes


def parse(frame: bytes) -> Packet | None:
    """None if the frame is not IPv4; headers have no options but TCP's."""
    if struct.unpack_from(">H", frame, 12)[0] != IPV4:
        return None
    length, protocol = struct.unpack_from(">2xH5xB", frame, 14)
    source, destination = IPv4Address(frame[26:30]), IPv4Address(frame[30:34])
    assert checksum(frame[14:34]) == 0
    body = frame[34 : 14 + length]
    source_port, destination_port = struct.unpack_from(">HH", body) if protocol != ICMP else (0, 0)
    if protocol == TCP:
        sequence, acknowledged, offset, flags = struct.unpack_from(">IIBB", body, 4)
        payload = body[(offset >> 4) * 4 :]
    else:
        sequence = acknowledged = flags = 0
        payload = body[8:]
    return Packet(
        source, destination, protocol, source_port, destination_port, sequence, acknowledged, flags, payload
    )
