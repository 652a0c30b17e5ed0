"""A device type of our own, for the sake of its queue: it writes back what it has read."""

from __future__ import annotations

from typing import ClassVar

from dbt_disco.devices.virtio.descriptor_chain import DescriptorChain
from dbt_disco.devices.virtio.virtio_device import ReservedFeature, VirtioDevice
from dbt_disco.devices.virtio.virtqueue import Virtqueue


class EchoDevice(VirtioDevice):
    DEVICE_ID: ClassVar[int] = 63
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (256,)

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[bytes] = []

    @property
    def features(self) -> int:
        return int(ReservedFeature.EVENT_IDX)

    def configuration(self) -> bytes:
        return b""

    def serve(self, index: int, queue: Virtqueue) -> bool:
        return queue.serve(self._answer)

    def reset(self) -> None:
        self.requests.clear()

    def _answer(self, chain: DescriptorChain) -> int:
        data = chain.read(0, chain.readable_length)
        self.requests.append(data)
        answer = data[: chain.writable_length]
        chain.write(0, answer)
        return len(answer)
