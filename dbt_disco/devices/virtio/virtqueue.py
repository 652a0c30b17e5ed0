"""Split virtqueues (2.7), read defensively: memory is the driver's, and the driver may be broken or hostile.

One look at a queue takes copies of the available ring and the descriptor table; everything is checked and followed in
the copies, so that nothing a device writes meanwhile, not even over the queue itself, changes what was checked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dbt_disco.devices.device import GuestMemory
from dbt_disco.devices.virtio.descriptor_chain import Buffer, DescriptorChain
from dbt_disco.devices.virtio.driver_error import DriverError
from runtime.addresses import PhysicalAddress

MAX_CHAIN: Final = 1024
"""Descriptors in one chain. Linux's indirect tables may be longer than the queue, against 2.7.5.3.1; QEMU's limit."""

WORK_PER_VISIT: Final = 64 << 20
"""Bytes of requests after which `Virtqueue.serve` returns, so that nobody keeps a vCPU's thread for long."""

REQUEST_WORK: Final = 64 << 10
BUFFER_WORK: Final = 4 << 10
"""What a request and each of its buffers count besides their bytes: about as long as these take to copy."""

_DESCRIPTOR: Final = struct.Struct("<QIHH")  # address, length, flags, next
_F_NEXT, _F_WRITE, _F_INDIRECT = 1, 2, 4
_RING_HEADER: Final = struct.Struct("<HH")  # flags, idx
_F_NO_INTERRUPT: Final = 1


class QueueAddresses(NamedTuple):
    """Where the three parts of a queue are (2.7)."""

    descriptors: PhysicalAddress
    available: PhysicalAddress
    used: PhysicalAddress


class Virtqueue:
    """A queue in use, between the driver making it ready and it or the device being reset.

    `look`, `pop`, `push`, `publish` are the steps; `serve` is all of them for queues whose requests can be answered at
    once. Every method may raise `DriverError`, or `NotMemory` for addresses that are none; neither leaves a queue
    that can still be used.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        addresses: QueueAddresses,
        *,
        indirect: bool,
        event_index: bool,
        interrupt: Callable[[], None],
    ) -> None:
        """A queue of `size` descriptors, a power of two.

        `indirect` and `event_index` are what was negotiated; `interrupt` sends a used buffer notification.
        """
        self.memory = memory
        self.size = size
        self.addresses = addresses
        self._indirect = indirect
        self._event_index = event_index
        self._interrupt = interrupt
        self._ring_length = 4 + 2 * size + (2 if event_index else 0)
        self._available_index = 0
        self._next = 0
        self._used_index = 0
        self._notify_at = 0
        self._ring = b""
        self._table: bytes | None = None
        self._used: list[tuple[int, int]] = []

    @property
    def waiting(self) -> int:
        """How many chains the last look found that have not been popped."""
        return (self._available_index - self._next) & 0xFFFF

    def look(self) -> int:
        """Take notice of what the driver has made available; returns how many chains wait."""
        ring = self.memory.read(self.addresses.available, self._ring_length)
        index = int.from_bytes(ring[2:4], "little")
        waiting = (index - self._next) & 0xFFFF
        if waiting > self.size:
            raise DriverError(f"{waiting} chains made available in a queue of {self.size}")
        self._ring, self._available_index, self._table = ring, index, None
        return waiting

    def peek(self) -> DescriptorChain | None:
        """The next of the chains that `look` has found, left where it is; None if there is no more."""
        if self._next == self._available_index:
            return None
        return self._collect(self._ring_entry(self._next))

    def pop(self) -> DescriptorChain | None:
        """Take the next of the chains that `look` has found; None if there is no more."""
        chain = self.peek()
        if chain is not None:
            self._next = (self._next + 1) & 0xFFFF
        return chain

    def push(self, chain: DescriptorChain, written: int) -> None:
        """Give a chain back with `written` bytes stored from its first writable byte on; `publish` tells the driver."""
        self._used.append((chain.head, written))

    def publish(self) -> None:
        """Let the driver see the chains given back, interrupt it if it wants that, and `look`."""
        if not self._used:
            return
        before, count = self._used_index, len(self._used)
        self._write_used()
        self._used_index = (before + count) & 0xFFFF
        self.memory.write(PhysicalAddress(self.addresses.used + 2), self._used_index.to_bytes(2, "little"))
        self.look()  # after the index: a driver that has just asked for interrupts must not miss this one
        if self._interrupt_wanted(before, count):
            self._interrupt()

    def ask_for_notification(self) -> bool:
        """Make sure that the driver notifies of what it adds from now on; true if it has just added something.

        With event indices it stays silent otherwise; without, it notifies always (2.7.10).
        """
        if not self._event_index or self._notify_at == self._next:
            return False
        avail_event = PhysicalAddress(self.addresses.used + 4 + 8 * self.size)
        self.memory.write(avail_event, self._next.to_bytes(2, "little"))
        self._notify_at = self._next
        return self.look() > 0

    def serve(self, answer: Callable[[DescriptorChain], int]) -> bool:
        """Have every waiting chain answered, and give it back with the number of bytes that `answer` returns.

        Returns true if it stopped early, with work left for another visit soon.
        """
        work = WORK_PER_VISIT
        self.look()
        while True:
            while work > 0 and (chain := self.pop()) is not None:
                work -= _work_of(chain)
                self.push(chain, answer(chain))
            self.publish()
            if work <= 0:
                return True
            if not self.waiting and not self.ask_for_notification():
                return False

    def state(self) -> dict[str, Any]:
        """All that is not in guest memory, between visits."""
        return {
            "size": self.size,
            "addresses": list(self.addresses),
            "next": self._next,
            "used_index": self._used_index,
            "notify_at": self._notify_at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the indices that `state` gave; size and addresses are the constructor's."""
        self._next = self._available_index = state["next"]
        self._used_index = state["used_index"]
        self._notify_at = state["notify_at"]

    def _ring_entry(self, index: int) -> int:
        position = 4 + 2 * (index & (self.size - 1))
        head = int.from_bytes(self._ring[position : position + 2], "little")
        if head >= self.size:
            raise DriverError(f"descriptor {head} made available in a queue of {self.size}")
        return head

    def _collect(self, head: int) -> DescriptorChain:
        """Follow a chain from its first descriptor to the last."""
        if self._table is None:
            self._table = self.memory.read(self.addresses.descriptors, _DESCRIPTOR.size * self.size)
        table, index, in_indirect_table = self._table, head, False
        readable: list[Buffer] = []
        writable: list[Buffer] = []
        for _ in range(MAX_CHAIN + 1):
            address, length, flags, following = _DESCRIPTOR.unpack_from(table, _DESCRIPTOR.size * index)
            if flags & _F_INDIRECT:
                if in_indirect_table or flags & _F_NEXT or not self._indirect:
                    raise DriverError(f"descriptor {index} must not be indirect")
                table, index, in_indirect_table = self._indirect_table(address, length), 0, True
                continue
            if not length:
                pass
            elif flags & _F_WRITE:
                writable.append(Buffer(PhysicalAddress(address), length))
            elif writable:
                raise DriverError(f"descriptor {index} is to be read but comes after one to be written")
            else:
                readable.append(Buffer(PhysicalAddress(address), length))
            if not flags & _F_NEXT:
                return DescriptorChain(head, self.memory, readable, writable)
            if following >= len(table) // _DESCRIPTOR.size:
                raise DriverError(f"descriptor {index} goes on at {following}, which does not exist")
            index = following
        raise DriverError(f"the chain from descriptor {head} has a loop or more than {MAX_CHAIN} descriptors")

    def _indirect_table(self, address: int, length: int) -> bytes:
        if not length or length % _DESCRIPTOR.size:
            raise DriverError(f"indirect table of {length} bytes")
        return self.memory.read(PhysicalAddress(address), min(length, MAX_CHAIN * _DESCRIPTOR.size))

    def _write_used(self) -> None:
        """Store the elements given back, in one piece or, where the ring starts again, in two."""
        start = self._used_index & (self.size - 1)
        elements = b"".join(
            head.to_bytes(4, "little") + written.to_bytes(4, "little") for head, written in self._used
        )
        self._used.clear()
        ring = self.addresses.used + 4
        before_end = 8 * (self.size - start)
        self.memory.write(PhysicalAddress(ring + 8 * start), elements[:before_end])
        if len(elements) > before_end:
            self.memory.write(PhysicalAddress(ring), elements[before_end:])

    def _interrupt_wanted(self, before: int, count: int) -> bool:
        """Whether the driver asks for an interrupt now that `count` elements follow used index `before` (2.7.7)."""
        if not self._event_index:
            return not self._ring[0] & _F_NO_INTERRUPT
        event = int.from_bytes(self._ring[-2:], "little")
        return (event - before) & 0xFFFF < count


def _work_of(chain: DescriptorChain) -> int:
    buffers = len(chain.readable) + len(chain.writable)
    return REQUEST_WORK + BUFFER_WORK * buffers + chain.readable_length + chain.writable_length
