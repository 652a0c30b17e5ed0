"""A driver that does anything at random, some of it close enough to right that the device goes along for a while."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Final

from dbt_disco.devices.virtio.registers import Register, Status
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from tests.dbt_disco.devices.virtio.driver import DESCRIPTOR, INDIRECT, NEXT, WRITE, Driver, DriverQueue
from tests.dbt_disco.devices.virtio.guest import RAM_LENGTH, RAM_START, Guest

EDGES: Final = (0, 1, 2, 15, 16, 17, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF, 1 << 16, 1 << 31, (1 << 32) - 1)
STATUSES: Final = (0, 1, 3, 11, 15, 15, 15, 79, 143, 0xFF)


class HostileDriver:
    """Every `step` is one random act; whatever it does, no exception may come out of the device."""

    def __init__(self, make_device: Callable[[], VirtioDevice], dice: random.Random) -> None:
        self._make_device = make_device
        self._dice = dice
        self.guest = Guest(make_device(), dice.choice(("little", "big")))
        self.driver = Driver(self.guest)
        self.failures = 0
        self._acts: list[tuple[Callable[[], None], int]] = [
            (self._start_over, 2),
            (self._register, 6),
            (self._request, 20),
            (self._chain, 20),
            (self._notify, 25),
            (self._indices, 6),
            (self._scribble, 6),
            (self._pass_time, 8),
            (self._configuration, 4),
            (self._checkpoint, 1),
        ]

    def step(self) -> None:
        acts, weights = zip(*self._acts, strict=True)
        self._dice.choices(acts, weights)[0]()
        if self.guest.transport.failure is not None:
            self.failures += 1
            assert self.guest.load(Register.STATUS) & Status.DEVICE_NEEDS_RESET
            self._start_over()

    def _start_over(self) -> None:
        queues = len(self.guest.transport.device.QUEUE_SIZES)
        size = self._dice.choice((None, None, 1, 2, 4, 8))
        self.driver.start(self._dice.getrandbits(32) | 1 << 32, queues=queues, size=size)

    def _queue(self) -> DriverQueue | None:
        return self._dice.choice(self.driver.queues) if self.driver.queues else None

    def _number(self) -> int:
        return self._dice.choice((self._dice.choice(EDGES), self._dice.getrandbits(32)))

    def _address(self) -> int:
        """Mostly memory, with a liking for the queues themselves and for the ends of memory."""
        queue = self._queue()
        places = [RAM_START + self._dice.randrange(RAM_LENGTH)] * 20
        places += [RAM_START + RAM_LENGTH - self._dice.randrange(64), self._dice.getrandbits(64)]
        if queue is not None:
            places += [queue.descriptors, queue.available, queue.used]
        return self._dice.choice(places)

    def _length(self) -> int:
        dice = self._dice
        return dice.choice((0, 1, 4, 12, 16, 512, 512, 4096, dice.randrange(70_000), dice.choice(EDGES)))

    def _register(self) -> None:
        register = self._dice.choice((*Register, self._dice.randrange(0x200)))
        value = self._dice.choice(STATUSES) if register == Register.STATUS else self._number()
        size = self._dice.choice((4, 4, 4, 2, 1))
        self.guest.store(register, value & (1 << 8 * size) - 1, size)
        self.guest.load(register, size)

    def _request(self) -> None:
        """A request that looks like one: a header that is a type and a sector, data, room."""
        queue = self._queue()
        if queue is None or len(queue.free) < 4:
            return
        kind, sector = (
            self._dice.choice((0, 1, 4, 8, 11, 13, 99)),
            self._dice.choice((0, 5, 63, self._number())),
        )
        data = [struct.pack("<IIQ", kind, 0, sector)] if self._dice.random() < 0.8 else []
        if self._dice.random() < 0.5:
            data.append(self._dice.randbytes(self._dice.choice((1, 4, 16, 48, 512, 1024))))
        room = self._dice.choice(([], [1], [512, 1], [4096], [20, 1]))
        if data or room:
            queue.add(data, room, indirect=self._dice.random() < 0.3)
        if self._dice.random() < 0.7:
            queue.kick()

    def _chain(self) -> None:
        """Descriptors that lead anywhere."""
        queue = self._queue()
        if queue is None:
            return
        dice = self._dice
        first = dice.randrange(queue.size)
        last = min(first + dice.randrange(6), queue.size - 1)
        for index in range(first, last + 1):
            flags = WRITE * (dice.random() < 0.6) | NEXT * (index < last)
            following = index + 1
            length = self._length()
            if dice.random() < 0.1:
                flags, length = INDIRECT, 16 * dice.randrange(40)
            if dice.random() < 0.05:
                flags = dice.getrandbits(16)
            if dice.random() < 0.05:
                following = dice.choice((dice.randrange(queue.size), dice.getrandbits(16)))
            descriptor = DESCRIPTOR.pack(self._address(), length, flags, following)
            self._put(queue.descriptors + 16 * index, descriptor)
        queue.make_available(first)

    def _put(self, address: int, data: bytes) -> None:
        if RAM_START <= address <= RAM_START + RAM_LENGTH - len(data):
            self.guest.write(address, data)

    def _notify(self) -> None:
        queue = self._queue()
        index = queue.index if queue is not None else self._number()
        self.guest.store(Register.QUEUE_NOTIFY, index)
        if queue is not None and self._dice.random() < 0.5:
            queue.last_used = int.from_bytes(self.guest.read(queue.used + 2, 2), "little")
            queue.outstanding.clear()
            queue.free = list(range(queue.size))

    def _indices(self) -> None:
        queue = self._queue()
        if queue is not None:
            place = self._dice.choice((queue.available, queue.available + 2, queue.used, queue.used + 2))
            self.guest.write(
                place, struct.pack("<H", self._dice.choice((0, 1, 0xFFFF, self._dice.getrandbits(16))))
            )

    def _scribble(self) -> None:
        self._put(self._address(), self._dice.randbytes(self._dice.randrange(1, 64)))

    def _pass_time(self) -> None:
        self.guest.surroundings.advance(self._dice.choice((1, 10_000, 10_000, 100_000)))

    def _configuration(self) -> None:
        size = self._dice.choice((1, 2, 4))
        offset = Register.CONFIG + self._dice.randrange(0, 0x100, size)
        self.guest.store(offset, self._number() & (1 << 8 * size) - 1, size)
        self.guest.load(offset, size)

    def _checkpoint(self) -> None:
        """Go on in another machine."""
        before = self.guest
        self.guest = Guest(self._make_device(), before.byte_order)
        self.guest.ram = before.ram
        self.guest.transport._memory = before.ram
        self.guest.transport.restore(before.transport.state())
        self.driver.machine = self.guest
        for queue in self.driver.queues:
            queue.machine = self.guest
