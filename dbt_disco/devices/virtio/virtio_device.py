"""What the types of virtio devices have in common, and what the transport does for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import IntFlag
from typing import Any, ClassVar, Protocol

from dbt_disco.devices.virtio.virtqueue import Virtqueue


class ReservedFeature(IntFlag):
    """Feature bits that mean the same for every type of device (6)."""

    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    VERSION_1 = 1 << 32


class Transport(Protocol):
    """The way from a device to its driver."""

    def serve(self, queue: int) -> None:
        """Have the device's `serve` called for a queue because of something outside.

        Nothing happens if the driver is not ready; the device then serves the queue when it is.
        """

    def configuration_changed(self) -> None:
        """Tell the driver that the device has changed its configuration space."""


class VirtioDevice(ABC):
    """One virtio device behind a transport: its type, its configuration space, and what its queues are for."""

    DEVICE_ID: ClassVar[int]
    """The type of the device (5)."""
    QUEUE_SIZES: ClassVar[tuple[int, ...]]
    """The largest size of each queue that the driver may choose; powers of two."""

    def __init__(self) -> None:
        self._transport: Transport | None = None

    def attach(self, transport: Transport) -> None:
        """Called once, by the transport the device is plugged into."""
        self._transport = transport

    @property
    @abstractmethod
    def features(self) -> int:
        """The feature bits offered; the transport adds what concerns all devices."""

    def negotiated(self, features: int) -> None:  # noqa: B027
        """Called with the bits that the driver has accepted, before any queue is served."""

    @abstractmethod
    def configuration(self) -> bytes:
        """The device's configuration space as it is now."""

    def write_configuration(self, offset: int, data: bytes) -> None:  # noqa: B027
        """The driver stores into the configuration space, perhaps past its end; what it must not store is ignored."""

    @abstractmethod
    def serve(self, index: int, queue: Virtqueue) -> bool:
        """Do what there is to do with queue `index`; true if work is left for another visit soon.

        Called when the driver has notified the device of new buffers, when the driver gets ready, and by
        `Transport.serve`. `DriverError` and `NotMemory` mean that the device needs a reset.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget what the driver has done; what was set from outside stays."""

    def state(self) -> dict[str, Any]:
        """What a guest could observe beside queues and negotiated features; JSON-compatible values and bytes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take over what `state` gave."""

    def _serve(self, queue: int) -> None:
        if self._transport is not None:
            self._transport.serve(queue)

    def _configuration_changed(self) -> None:
        if self._transport is not None:
            self._transport.configuration_changed()
