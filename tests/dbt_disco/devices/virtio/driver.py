"""A driver that sets devices up and fills queues as Linux 6.1 does (virtio_mmio.c, virtio_ring.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dbt_disco.devices.virtio.registers import Register, Status
from dbt_disco.devices.virtio.virtio_device import ReservedFeature
from tests.dbt_disco.devices.virtio.guest import RAM_LENGTH, RAM_START, Machine

DESCRIPTOR: Final = struct.Struct("<QIHH")
NEXT, WRITE, INDIRECT = 1, 2, 4
ALL_FEATURES: Final = (1 << 64) - 1
NEGOTIATED: Final = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK


class Allocator:
    """Hands out memory from one end to the other and then starts again."""

    def __init__(self, start: int = RAM_START, length: int = RAM_LENGTH) -> None:
        self._start, self._end = start, start + length
        self._next = start

    def take(self, length: int, alignment: int = 1) -> int:
        address = -(-self._next // alignment) * alignment
        if address + length > self._end:
            address = -(-self._start // alignment) * alignment
        assert address + length <= self._end
        self._next = address + length
        return address


@dataclass
class Transfer:
    """One request in a queue, and what came of it."""

    descriptors: list[int]
    writable: list[tuple[int, int]]
    written: int | None = None
    """Bytes that the device says it has written; None while it has the request."""
    data: bytes = b""
    """All writable buffers, once the device has given them back."""


@dataclass
class DriverQueue:
    """The driver's side of a split virtqueue."""

    machine: Machine
    index: int
    size: int
    allocator: Allocator
    event_index: bool
    notifications: int = 0
    outstanding: dict[int, Transfer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.descriptors = self.allocator.take(16 * self.size, 4096)
        self.available = self.allocator.take(6 + 2 * self.size, 2)
        self.used = self.allocator.take(6 + 8 * self.size, 4)
        for address, length in (
            (self.descriptors, 16 * self.size),
            (self.available, 6 + 2 * self.size),
            (self.used, 6 + 8 * self.size),
        ):
            self.machine.write(address, bytes(length))
        self.free = list(range(self.size))
        self.available_index = self.last_kicked = self.last_used = 0

    def add(self, readable: Iterable[bytes], writable: Iterable[int], indirect: bool = False) -> Transfer:
        """Put a request's buffers into memory and make them available, without telling the device."""
        buffers = [(self._place(data), len(data), 0) for data in readable]
        buffers += [(self.allocator.take(length), length, WRITE) for length in writable]
        return self.offer(buffers, indirect)

    def offer(self, buffers: Sequence[tuple[int, int, int]], indirect: bool = False) -> Transfer:
        """Make buffers (address, length, flags) available where they are."""
        if indirect:
            table = self.allocator.take(16 * len(buffers), 16)
            self.machine.write(table, b"".join(chain_up(buffers, range(len(buffers)))))
            indices = [self.free.pop()]
            self._put_descriptor(indices[0], DESCRIPTOR.pack(table, 16 * len(buffers), INDIRECT, 0))
        else:
            indices = [self.free.pop() for _ in buffers]
            for index, descriptor in zip(indices, chain_up(buffers, indices), strict=True):
                self._put_descriptor(index, descriptor)
        room = [(address, length) for address, length, flags in buffers if flags]
        transfer = self.outstanding[indices[0]] = Transfer(indices, room)
        self.make_available(indices[0])
        return transfer

    def make_available(self, head: int) -> None:
        position = self.available + 4 + 2 * (self.available_index % self.size)
        self.machine.write(position, struct.pack("<H", head))
        self.available_index = (self.available_index + 1) & 0xFFFF
        self.machine.write(self.available + 2, struct.pack("<H", self.available_index))

    def kick(self) -> None:
        """Notify the device of what was added since the last time, unless it does not want to know (2.7.10)."""
        old, new, self.last_kicked = self.last_kicked, self.available_index, self.available_index
        if self.event_index:
            event = self._load16(self.used + 4 + 8 * self.size)
            wanted = (new - event - 1) & 0xFFFF < (new - old) & 0xFFFF
        else:
            wanted = not self._load16(self.used) & 1
        if wanted:
            self.notify()

    def notify(self) -> None:
        self.notifications += 1
        self.machine.store(Register.QUEUE_NOTIFY, self.index)

    def enable_interrupts(self, on: bool) -> None:
        """As the core does around polling: by flag, or by an event index that is far away."""
        self.machine.write(self.available, struct.pack("<H", not on and not self.event_index))
        self.set_used_event(self.last_used if on else self.last_used - 1)

    def set_used_event(self, index: int) -> None:
        if self.event_index:
            self.machine.write(self.available + 4 + 2 * self.size, struct.pack("<H", index & 0xFFFF))

    def collect(self) -> list[Transfer]:
        """The requests that the device has given back since the last time, in its order."""
        done = []
        while self.last_used != self._load16(self.used + 2):
            element = self.machine.read(self.used + 4 + 8 * (self.last_used % self.size), 8)
            head, written = struct.unpack("<II", element)
            transfer = self.outstanding.pop(head)
            transfer.written = written
            transfer.data = b"".join(self.machine.read(*buffer) for buffer in transfer.writable)
            self.free += reversed(transfer.descriptors)
            self.last_used = (self.last_used + 1) & 0xFFFF
            done.append(transfer)
        return done

    def request(
        self, readable: Iterable[bytes], writable: Iterable[int] = (), indirect: bool = False
    ) -> Transfer:
        """Add a request, notify, and wait for it: a device of ours has answered when the store returns."""
        transfer = self.add(readable, writable, indirect)
        self.kick()
        assert self.collect() == [transfer]
        return transfer

    def _place(self, data: bytes) -> int:
        address = self.allocator.take(len(data))
        self.machine.write(address, data)
        return address

    def _put_descriptor(self, index: int, descriptor: bytes) -> None:
        self.machine.write(self.descriptors + 16 * index, descriptor)

    def _load16(self, address: int) -> int:
        return int.from_bytes(self.machine.read(address, 2), "little")


def chain_up(buffers: Sequence[tuple[int, int, int]], indices: Sequence[int]) -> Iterator[bytes]:
    """The descriptors of a chain of (address, length, flags) that stand at `indices` of their table."""
    for position, (address, length, flags) in enumerate(buffers):
        last = position == len(buffers) - 1
        following = 0 if last else indices[position + 1]
        yield DESCRIPTOR.pack(address, length, flags | (0 if last else NEXT), following)


class Driver:
    """The life of a device in the driver's hands, from reset to DRIVER_OK."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.allocator = Allocator()
        self.features = 0
        self.queues: list[DriverQueue] = []

    def offered(self) -> int:
        self.machine.store(Register.DEVICE_FEATURES_SEL, 1)
        high = self.machine.load(Register.DEVICE_FEATURES)
        self.machine.store(Register.DEVICE_FEATURES_SEL, 0)
        return high << 32 | self.machine.load(Register.DEVICE_FEATURES)

    def negotiate(self, wanted: int = ALL_FEATURES) -> bool:
        """Reset the device and accept what it offers and we want; true if it agrees."""
        self.set_status(0)
        self.set_status(Status.ACKNOWLEDGE)
        self.set_status(Status.ACKNOWLEDGE | Status.DRIVER)
        self.features = self.offered() & wanted
        self.accept(self.features)
        self.set_status(NEGOTIATED)
        return bool(self.machine.load(Register.STATUS) & Status.FEATURES_OK)

    def accept(self, features: int) -> None:
        self.machine.store(Register.DRIVER_FEATURES_SEL, 1)
        self.machine.store(Register.DRIVER_FEATURES, features >> 32)
        self.machine.store(Register.DRIVER_FEATURES_SEL, 0)
        self.machine.store(Register.DRIVER_FEATURES, features & 0xFFFF_FFFF)

    def make_queue(self, index: int, size: int | None = None) -> DriverQueue:
        store = self.machine.store
        store(Register.QUEUE_SEL, index)
        assert self.machine.load(Register.QUEUE_READY) == 0
        size = size or min(256, self.machine.load(Register.QUEUE_NUM_MAX))
        event_index = bool(self.features & ReservedFeature.EVENT_IDX)
        queue = DriverQueue(self.machine, index, size, self.allocator, event_index)
        store(Register.QUEUE_NUM, size)
        for register, address in (
            (Register.QUEUE_DESC_LOW, queue.descriptors),
            (Register.QUEUE_DRIVER_LOW, queue.available),
            (Register.QUEUE_DEVICE_LOW, queue.used),
        ):
            store(register, address & 0xFFFF_FFFF)
            store(register + 4, address >> 32)
        store(Register.QUEUE_READY, 1)
        return queue

    def start(self, wanted: int = ALL_FEATURES, queues: int = 1, size: int | None = None) -> None:
        """All of it: afterwards `queues` are there, and memory behind them is free for requests."""
        self.allocator = Allocator()
        assert self.negotiate(wanted)
        self.queues = [self.make_queue(index, size) for index in range(queues)]
        start = self.allocator.take(0, 4096)
        self.allocator = Allocator(start, RAM_START + RAM_LENGTH - start)
        for queue in self.queues:
            queue.allocator = self.allocator
        self.set_status(NEGOTIATED | Status.DRIVER_OK)

    def set_status(self, status: int) -> None:
        self.machine.store(Register.STATUS, status)
