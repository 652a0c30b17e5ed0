"""Virtio over MMIO, version 2 (4.2): the registers through which a driver finds, sets up and notifies a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from dbt_disco.devices.device import (
    Device,
    GuestMemory,
    InterruptLine,
    NotMemory,
    Surroundings,
    Timer,
)
from dbt_disco.devices.virtio.driver_error import DriverError
from dbt_disco.devices.virtio.registers import (
    MAGIC,
    NO_REGION,
    VENDOR_ID,
    VERSION,
    Interrupt,
    Register,
    Status,
)
from dbt_disco.devices.virtio.virtio_device import ReservedFeature, VirtioDevice
from dbt_disco.devices.virtio.virtqueue import QueueAddresses, Virtqueue
from runtime.addresses import PhysicalAddress

_LOW: Final = 0xFFFF_FFFF
_OFFERED_BY_ALL: Final = int(ReservedFeature.VERSION_1 | ReservedFeature.INDIRECT_DESC)
_FEATURES_OK: Final = int(Status.FEATURES_OK)
_DRIVER_OK: Final = int(Status.DRIVER_OK)
_RUNNING: Final = _FEATURES_OK | _DRIVER_OK
_NEEDS_RESET: Final = int(Status.DEVICE_NEEDS_RESET)
_USED_BUFFER: Final = int(Interrupt.USED_BUFFER)
_CONFIGURATION_CHANGE: Final = int(Interrupt.CONFIGURATION_CHANGE)
_GUEST_TURN: Final = 10_000
"""Nanoseconds that the guest goes on for when a device has much to do, before the device does more of it."""


@dataclass
class _QueueRegisters:
    """What the driver has written about one queue; it counts from the moment the queue is made ready."""

    size: int = 0
    addresses: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Of the descriptor table, the available ring and the used ring."""


class VirtioMmio(Device):
    """The registers of one virtio device.

    A driver that breaks the rules only ever gets its device into the state "needs reset" (2.1.2); `failure` then
    says why.
    """

    def __init__(
        self,
        device: VirtioDevice,
        memory: GuestMemory,
        interrupt: InterruptLine,
        surroundings: Surroundings,
        byte_order: Literal["little", "big"],
    ) -> None:
        """Plug `device` in. `byte_order` is the guest's: registers are little-endian whatever it is."""
        self.device = device
        self.failure: str | None = None
        self._memory = memory
        self._interrupt = interrupt
        self._surroundings = surroundings
        self._byte_order = byte_order
        self._config_generation = 0
        self._continuation: Timer | None = None
        self._clear()
        device.attach(self)

    def _clear(self) -> None:
        """Everything as after power-on, but for the generation of the configuration, which only ever grows."""
        self.failure = None
        self._status = 0
        self._interrupt_status = 0
        self._device_features_sel = 0
        self._driver_features = 0
        self._driver_features_sel = 0
        self._queue_sel = 0
        self._registers = [_QueueRegisters() for _ in self.device.QUEUE_SIZES]
        self._queues: list[Virtqueue | None] = [None] * len(self._registers)
        self._unfinished: set[int] = set()
        if self._continuation is not None:
            self._continuation.cancel()
            self._continuation = None

    # The bus

    def read(self, offset: int, size: int) -> int:
        if offset >= Register.CONFIG:
            start = offset - Register.CONFIG
            data = self.device.configuration()[start : start + size].ljust(size, b"\0")
        else:
            get = _READABLE.get(offset)
            if get is None or size != 4:
                return 0
            data = get(self).to_bytes(4, "little")
        return int.from_bytes(data, self._byte_order)

    def write(self, offset: int, size: int, value: int) -> None:
        data = value.to_bytes(size, self._byte_order)
        if offset >= Register.CONFIG:
            self.device.write_configuration(offset - Register.CONFIG, data)
        elif size == 4 and (put := _WRITABLE.get(offset)) is not None:
            put(self, int.from_bytes(data, "little"))

    def reset(self) -> None:
        self._clear()
        self.device.reset()
        self._interrupt.set(False)

    # What a device asks for

    def serve(self, queue: int) -> None:
        if self._status & (_RUNNING | _NEEDS_RESET) != _RUNNING or (ready := self._queues[queue]) is None:
            return
        try:
            unfinished = self.device.serve(queue, ready)
        except (DriverError, NotMemory) as error:
            self._fail(f"queue {queue}: {error}")
            return
        if unfinished:
            self._continue_soon(queue)

    def configuration_changed(self) -> None:
        self._config_generation = (self._config_generation + 1) & _LOW
        if self._status & _DRIVER_OK:
            self._raise(_CONFIGURATION_CHANGE)

    # Reading registers

    def _device_features(self) -> int:
        offered = self.device.features | _OFFERED_BY_ALL
        return offered >> 32 * self._device_features_sel & _LOW if self._device_features_sel < 2 else 0

    def _queue_num_max(self) -> int:
        return self.device.QUEUE_SIZES[self._queue_sel] if self._queue_sel < len(self._queues) else 0

    def _queue_ready(self) -> int:
        return int(self._queue_sel < len(self._queues) and self._queues[self._queue_sel] is not None)

    # Writing registers

    def _select_device_features(self, value: int) -> None:
        self._device_features_sel = value

    def _select_driver_features(self, value: int) -> None:
        self._driver_features_sel = value

    def _accept_features(self, value: int) -> None:
        if self._driver_features_sel < 2 and not self._status & _FEATURES_OK:
            shift = 32 * self._driver_features_sel
            self._driver_features = self._driver_features & ~(_LOW << shift) | value << shift

    def _select_queue(self, value: int) -> None:
        self._queue_sel = value

    def _set_queue_size(self, value: int) -> None:
        if self._queue_sel < len(self._registers):
            self._registers[self._queue_sel].size = value

    def _set_queue_address(self, part: int, high: bool, value: int) -> None:
        if self._queue_sel < len(self._registers):
            addresses, shift = self._registers[self._queue_sel].addresses, 32 if high else 0
            addresses[part] = addresses[part] & ~(_LOW << shift) | value << shift

    def _set_queue_ready(self, value: int) -> None:
        if self._queue_sel >= len(self._queues):
            return
        if not value & 1:
            self._queues[self._queue_sel] = None
            self._unfinished.discard(self._queue_sel)
        elif self._queues[self._queue_sel] is None and not self._status & _NEEDS_RESET:
            try:
                self._queues[self._queue_sel] = self._make_queue(self._queue_sel)
            except DriverError as error:
                self._fail(f"queue {self._queue_sel}: {error}")

    def _notify(self, value: int) -> None:
        if value < len(self._queues):
            self.serve(value)

    def _acknowledge_interrupt(self, value: int) -> None:
        self._interrupt_status &= ~value
        self._interrupt.set(self._interrupt_status != 0)

    def _set_status(self, value: int) -> None:
        if not value:
            self.reset()
            return
        before = self._status
        self._status = value & 0xFF | before & _NEEDS_RESET
        if value & ~before & _FEATURES_OK:
            self._finish_negotiation()
        if self._status & ~before & _DRIVER_OK:
            for queue in range(
                len(self._queues)
            ):  # a driver may have notified too early, as Linux's balloon does
                self.serve(queue)

    # What follows from it

    def _finish_negotiation(self) -> None:
        """Leave FEATURES_OK set only if the driver accepts no more than is offered, and this version (2.2.2, 6.2)."""
        refused = self._driver_features & ~(self.device.features | _OFFERED_BY_ALL)
        if refused or not self._driver_features & ReservedFeature.VERSION_1:
            self._status &= ~_FEATURES_OK
        else:
            self.device.negotiated(self._driver_features)

    def _make_queue(self, index: int) -> Virtqueue:
        registers, largest = self._registers[index], self.device.QUEUE_SIZES[index]
        if not self._status & _FEATURES_OK:
            raise DriverError("made ready before the features were negotiated")
        if not 0 < registers.size <= largest or registers.size & (registers.size - 1):
            raise DriverError(f"size {registers.size} is not a power of two up to {largest}")
        for address, alignment in zip(registers.addresses, (16, 2, 4), strict=True):
            if address % alignment:
                raise DriverError(f"address {address:#x} is not a multiple of {alignment}")
        return self._virtqueue(registers.size, registers.addresses)

    def _virtqueue(self, size: int, addresses: Sequence[int]) -> Virtqueue:
        return Virtqueue(
            self._memory,
            size,
            QueueAddresses(*map(PhysicalAddress, addresses)),
            indirect=bool(self._driver_features & ReservedFeature.INDIRECT_DESC),
            event_index=bool(self._driver_features & ReservedFeature.EVENT_IDX),
            interrupt=lambda: self._raise(_USED_BUFFER),
        )

    def _continue_soon(self, queue: int) -> None:
        self._unfinished.add(queue)
        if self._continuation is None:
            due = self._surroundings.now() + _GUEST_TURN
            self._continuation = self._surroundings.call_at(due, self._continue)

    def _continue(self) -> None:
        self._continuation = None
        unfinished, self._unfinished = sorted(self._unfinished), set()
        for queue in unfinished:
            self.serve(queue)

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._status |= _NEEDS_RESET
        self.configuration_changed()

    def _raise(self, reason: int) -> None:
        self._interrupt_status |= reason
        self._interrupt.set(True)

    # Checkpoints

    def state(self) -> dict[str, Any]:
        return {
            "failure": self.failure,
            "status": self._status,
            "interrupt_status": self._interrupt_status,
            "config_generation": self._config_generation,
            "device_features_sel": self._device_features_sel,
            "driver_features": self._driver_features,
            "driver_features_sel": self._driver_features_sel,
            "queue_sel": self._queue_sel,
            "registers": [asdict(registers) for registers in self._registers],
            "queues": [None if queue is None else queue.state() for queue in self._queues],
            "unfinished": sorted(self._unfinished),
            "device": self.device.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._clear()
        self.failure = state["failure"]
        self._status = state["status"]
        self._interrupt_status = state["interrupt_status"]
        self._config_generation = state["config_generation"]
        self._device_features_sel = state["device_features_sel"]
        self._driver_features = state["driver_features"]
        self._driver_features_sel = state["driver_features_sel"]
        self._queue_sel = state["queue_sel"]
        self._registers = [_QueueRegisters(**registers) for registers in state["registers"]]
        for index, queue in enumerate(state["queues"]):
            if queue is not None:
                ready = self._queues[index] = self._virtqueue(queue["size"], queue["addresses"])
                ready.restore(queue)
        if self._status & _FEATURES_OK:
            self.device.negotiated(self._driver_features)
        self.device.restore(state["device"])
        for index in state["unfinished"]:
            self._continue_soon(index)
        self._interrupt.set(self._interrupt_status != 0)


def _put_address(part: int, high: bool) -> Callable[[VirtioMmio, int], None]:
    """A setter of half the address of a queue's descriptor table (0), available ring (1) or used ring (2)."""

    def put(transport: VirtioMmio, value: int) -> None:
        transport._set_queue_address(part, high, value)

    return put


_READABLE: Final[dict[int, Callable[[VirtioMmio], int]]] = {
    Register.MAGIC_VALUE: lambda _: MAGIC,
    Register.VERSION: lambda _: VERSION,
    Register.DEVICE_ID: lambda transport: transport.device.DEVICE_ID,
    Register.VENDOR_ID: lambda _: VENDOR_ID,
    Register.DEVICE_FEATURES: VirtioMmio._device_features,
    Register.QUEUE_NUM_MAX: VirtioMmio._queue_num_max,
    Register.QUEUE_READY: VirtioMmio._queue_ready,
    Register.INTERRUPT_STATUS: lambda transport: transport._interrupt_status,
    Register.STATUS: lambda transport: transport._status,
    Register.SHM_LEN_LOW: lambda _: NO_REGION,
    Register.SHM_LEN_HIGH: lambda _: NO_REGION,
    Register.SHM_BASE_LOW: lambda _: NO_REGION,
    Register.SHM_BASE_HIGH: lambda _: NO_REGION,
    Register.CONFIG_GENERATION: lambda transport: transport._config_generation,
}
_WRITABLE: Final[dict[int, Callable[[VirtioMmio, int], None]]] = {
    Register.DEVICE_FEATURES_SEL: VirtioMmio._select_device_features,
    Register.DRIVER_FEATURES: VirtioMmio._accept_features,
    Register.DRIVER_FEATURES_SEL: VirtioMmio._select_driver_features,
    Register.QUEUE_SEL: VirtioMmio._select_queue,
    Register.QUEUE_NUM: VirtioMmio._set_queue_size,
    Register.QUEUE_READY: VirtioMmio._set_queue_ready,
    Register.QUEUE_NOTIFY: VirtioMmio._notify,
    Register.INTERRUPT_ACK: VirtioMmio._acknowledge_interrupt,
    Register.STATUS: VirtioMmio._set_status,
    Register.QUEUE_DESC_LOW: _put_address(0, high=False),
    Register.QUEUE_DESC_HIGH: _put_address(0, high=True),
    Register.QUEUE_DRIVER_LOW: _put_address(1, high=False),
    Register.QUEUE_DRIVER_HIGH: _put_address(1, high=True),
    Register.QUEUE_DEVICE_LOW: _put_address(2, high=False),
    Register.QUEUE_DEVICE_HIGH: _put_address(2, high=True),
}
