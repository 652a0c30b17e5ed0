"""One request as the driver laid it out in memory: buffers the device reads, then buffers it writes (2.7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dbt_disco.devices.device import GuestMemory
from dbt_disco.devices.virtio.driver_error import DriverError
from runtime.addresses import PhysicalAddress


class Buffer(NamedTuple):
    """A range of guest memory; nobody has looked yet whether it is memory."""

    address: PhysicalAddress
    length: int


class DescriptorChain:
    """The buffers of one request. How they are cut means nothing: offsets count through all of them (2.7.4.1)."""

    __slots__ = ("_memory", "head", "readable", "readable_length", "writable", "writable_length")

    def __init__(
        self, head: int, memory: GuestMemory, readable: Sequence[Buffer], writable: Sequence[Buffer]
    ) -> None:
        self.head = head
        self.readable = readable
        self.writable = writable
        self.readable_length = sum(buffer.length for buffer in readable)
        self.writable_length = sum(buffer.length for buffer in writable)
        self._memory = memory

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes of what the driver sent, from byte `offset` on; `DriverError` if there are fewer."""
        if offset + length > self.readable_length:
            raise DriverError(f"request of {self.readable_length} bytes, at least {offset + length} expected")
        parts = [self._memory.read(*part) for part in parts_of(self.readable, offset, length)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Store `data` from byte `offset` of the writable buffers on; `DriverError` if it does not fit."""
        if offset + len(data) > self.writable_length:
            raise DriverError(f"room for {self.writable_length} bytes, at least {offset + len(data)} needed")
        view, done = memoryview(data), 0
        for address, length in parts_of(self.writable, offset, len(data)):
            self._memory.write(address, view[done : done + length])
            done += length


def parts_of(buffers: Sequence[Buffer], offset: int, length: int) -> Iterator[Buffer]:
    """The parts of `buffers` that make up `length` bytes from byte `offset` on."""
    for buffer in buffers:
        if offset >= buffer.length:
            offset -= buffer.length
            continue
        if not length:
            return
        part = min(buffer.length - offset, length)
        yield Buffer(PhysicalAddress(buffer.address + offset), part)
        offset = 0
        length -= part
