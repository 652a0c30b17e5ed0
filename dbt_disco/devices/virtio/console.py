"""The console device (5.3) with one port, which Linux calls hvc0."""

from __future__ import annotations

import struct
from enum import IntFlag
from typing import Any, ClassVar, Final

from dbt_disco.devices.character_backend import CharacterBackend
from dbt_disco.devices.virtio.descriptor_chain import DescriptorChain
from dbt_disco.devices.virtio.driver_error import DriverError
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.devices.virtio.virtqueue import Virtqueue

INPUT_CAPACITY: Final = 4096
"""Bytes of input kept until the driver has room for them."""
OUTPUT_PIECE: Final = 64 << 10
"""Bytes handed to the backend at once."""
OUTPUT_MAX: Final = 16 << 20
"""Bytes in one request. Linux writes 32 KiB at most, or what is in a pipe."""

_RECEIVE, _TRANSMIT = 0, 1
_CONFIGURATION: Final = struct.Struct("<HHII")  # columns, rows, ports, emergency write
_EMERGENCY_WRITE_OFFSET: Final = 8


class Feature(IntFlag):
    """Feature bits of the console device (5.3.3)."""

    SIZE = 1 << 0
    EMERG_WRITE = 1 << 2


class ConsoleDevice(VirtioDevice):
    """A virtio console on a `CharacterBackend`; the device is the backend's `CharacterReceiver`."""

    DEVICE_ID: ClassVar[int] = 3
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (64, 64)

    def __init__(self, backend: CharacterBackend, columns: int = 80, rows: int = 24) -> None:
        """`columns` and `rows` are the terminal's size, as far as anybody knows."""
        super().__init__()
        self._backend = backend
        self._columns = columns
        self._rows = rows
        self._input = bytearray()
        self._receiving = False
        backend.connect(self)

    @property
    def features(self) -> int:
        return int(Feature.SIZE | Feature.EMERG_WRITE)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the guest that its terminal has another size now."""
        if (columns, rows) != (self._columns, self._rows):
            self._columns, self._rows = columns, rows
            self._configuration_changed()

    def receive_capacity(self) -> int:
        return INPUT_CAPACITY - len(self._input)

    def receive(self, data: bytes) -> None:
        self._input += data[: self.receive_capacity()]
        self._serve(_RECEIVE)

    def receive_break(self) -> None:
        """A virtio console has no line that could break."""

    def configuration(self) -> bytes:
        return _CONFIGURATION.pack(self._columns, self._rows, 1, 0)

    def write_configuration(self, offset: int, data: bytes) -> None:
        """The lower byte of the emergency register goes out whatever state the queues are in (5.3.5.1)."""
        if offset == _EMERGENCY_WRITE_OFFSET:
            self._backend.write(data[:1])

    def serve(self, index: int, queue: Virtqueue) -> bool:
        if index == _TRANSMIT:
            return queue.serve(self._transmit)
        if not self._receiving:
            self._receive(queue)
        return False

    def reset(self) -> None:
        """Input that no driver has taken yet waits for the next one."""

    def state(self) -> dict[str, Any]:
        return {"columns": self._columns, "rows": self._rows, "input": bytes(self._input)}

    def restore(self, state: dict[str, Any]) -> None:
        self._columns, self._rows = state["columns"], state["rows"]
        self._input = bytearray(state["input"])

    def _transmit(self, chain: DescriptorChain) -> int:
        if chain.readable_length > OUTPUT_MAX:
            raise DriverError(f"{chain.readable_length} bytes of output at once, {OUTPUT_MAX} are the most")
        for start in range(0, chain.readable_length, OUTPUT_PIECE):
            self._backend.write(chain.read(start, min(OUTPUT_PIECE, chain.readable_length - start)))
        return 0

    def _receive(self, queue: Virtqueue) -> None:
        """Move input to the driver while there are both input and buffers, asking the backend for more."""
        self._receiving = True
        try:
            while self._deliver(queue):
                self._backend.input_wanted()  # may call `receive`, whose call of `serve` finds us here
        finally:
            self._receiving = False

    def _deliver(self, queue: Virtqueue) -> bool:
        """Move what input there is; true if all of some has been taken."""
        before = len(self._input)
        queue.look()
        while self._input and (chain := queue.pop()) is not None:
            piece = bytes(self._input[: chain.writable_length])
            chain.write(0, piece)
            del self._input[: len(piece)]
            queue.push(chain, len(piece))
        queue.publish()
        return before > 0 and not self._input
