"""The network device (5.1): one pair of queues, no offloads.

Checksums and segmentation stay with the guest, since a user-mode stack wants whole, correct frames. Without
segmentation no frame is longer than one buffer, and merged receive buffers would have nothing to merge.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, ClassVar, Final

from dbt_disco.devices.virtio.descriptor_chain import DescriptorChain
from dbt_disco.devices.virtio.driver_error import DriverError
from dbt_disco.devices.virtio.virtio_device import ReservedFeature, VirtioDevice
from dbt_disco.devices.virtio.virtqueue import REQUEST_WORK, WORK_PER_VISIT, Virtqueue
from dbt_disco.network.network_backend import NetworkBackend

MAC_LENGTH: Final = 6
FRAME_MAX: Final = 1518
"""Bytes in a frame: an Ethernet header, perhaps with a VLAN tag, and 1500 bytes of data."""
QUEUE_SIZE: Final = 256

_RECEIVE, _TRANSMIT = 0, 1
_HEADER_LENGTH: Final = 12
_RECEIVE_HEADER: Final = bytes(10) + b"\1\0"  # no flags, no segmentation, one buffer (5.1.6)
_LINK_UP: Final = 1


class Feature(IntFlag):
    """Feature bits of the network device (5.1.3)."""

    MAC = 1 << 5
    STATUS = 1 << 16


class NetworkDevice(VirtioDevice):
    """A virtio network card on a `NetworkBackend`."""

    DEVICE_ID: ClassVar[int] = 1
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (QUEUE_SIZE, QUEUE_SIZE)

    def __init__(self, backend: NetworkBackend, mac: bytes) -> None:
        """`mac` is the card's address, 6 bytes."""
        super().__init__()
        if len(mac) != MAC_LENGTH:
            raise ValueError(f"a MAC address has {MAC_LENGTH} bytes, not {len(mac)}")
        self._mac = mac
        self._backend = backend
        self._link_up = True
        backend.connect(self._arrived)

    @property
    def features(self) -> int:
        """With event indices the driver gets far fewer interrupts for sent frames, and need not announce buffers."""
        return int(Feature.MAC | Feature.STATUS | ReservedFeature.EVENT_IDX)

    def set_link(self, up: bool) -> None:
        """Plug or pull the cable; frames get lost while it is out."""
        if up != self._link_up:
            self._link_up = up
            self._configuration_changed()

    def configuration(self) -> bytes:
        return self._mac + (_LINK_UP if self._link_up else 0).to_bytes(2, "little")

    def serve(self, index: int, queue: Virtqueue) -> bool:
        return queue.serve(self._transmit) if index == _TRANSMIT else self._receive(queue)

    def reset(self) -> None:
        """Nothing of the driver's doing is kept here."""

    def state(self) -> dict[str, Any]:
        return {"link_up": self._link_up}

    def restore(self, state: dict[str, Any]) -> None:
        self._link_up = state["link_up"]

    def _arrived(self) -> None:
        self._serve(_RECEIVE)

    def _transmit(self, chain: DescriptorChain) -> int:
        if chain.readable_length < _HEADER_LENGTH:
            raise DriverError("a frame to be sent has no header")
        length = chain.readable_length - _HEADER_LENGTH
        if 0 < length <= FRAME_MAX and self._link_up:
            self._backend.send(chain.read(_HEADER_LENGTH, length))
        return 0

    def _receive(self, queue: Virtqueue) -> bool:
        """Give the driver what has arrived, as far as it has offered buffers."""
        work = WORK_PER_VISIT
        while work > 0 and (queue.waiting or queue.look() or queue.ask_for_notification()):
            frame = self._backend.receive()
            if frame is None:
                break
            work -= len(frame) + REQUEST_WORK
            if self._link_up and (chain := queue.pop()) is not None:
                queue.push(chain, _deliver(frame, chain))
        queue.publish()
        return work <= 0


def _deliver(frame: bytes, chain: DescriptorChain) -> int:
    """Returns the bytes written: none if the buffer is too small, which loses the frame."""
    if chain.writable_length < _HEADER_LENGTH + len(frame):
        return 0
    chain.write(0, _RECEIVE_HEADER + frame)
    return _HEADER_LENGTH + len(frame)
