"""The entropy device (5.4): random bytes for whatever buffers the driver offers."""

from __future__ import annotations

from typing import ClassVar, Final

from dbt_disco.devices.device import Surroundings
from dbt_disco.devices.virtio.descriptor_chain import DescriptorChain
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.devices.virtio.virtqueue import Virtqueue

REQUEST_MAX: Final = 4096
"""Bytes given at once; the device may use less than the whole buffer (5.4.6.2). Linux asks for 64 at most."""


class EntropyDevice(VirtioDevice):
    """A source of randomness: the host's, or in deterministic runs a seeded one."""

    DEVICE_ID: ClassVar[int] = 4
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (8,)

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__()
        self._surroundings = surroundings

    @property
    def features(self) -> int:
        return 0

    def configuration(self) -> bytes:
        return b""

    def serve(self, index: int, queue: Virtqueue) -> bool:
        return queue.serve(self._answer)

    def reset(self) -> None:
        """There is nothing to forget."""

    def _answer(self, chain: DescriptorChain) -> int:
        length = min(chain.writable_length, REQUEST_MAX)
        chain.write(0, self._surroundings.random(length))
        return length
