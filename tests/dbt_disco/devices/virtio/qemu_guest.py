"""QEMU's virtio-mmio on its Arm "virt" board as a machine for our driver, through the qtest protocol."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from dbt_disco.devices.virtio.registers import Register
from tests.dbt_disco.devices.qemu_devices import QemuDevices

PROGRAM: Final = "qemu-system-arm"
LAST_SLOT: Final = 0x0A00_3E00
"""Where the first device plugged in ends up: the board's slots are filled from the last one down."""


class QemuGuest:
    """A machine with one virtio device of QEMU's."""

    def __init__(self, device: str, *options: str) -> None:
        self._qemu = QemuDevices(
            PROGRAM,
            "virt",
            *("-S", "-m", "16", "-global", "virtio-mmio.force-legacy=false"),
            *("-device", device, *options),
        )

    def __enter__(self) -> QemuGuest:
        self._qemu.__enter__()
        assert self.load(Register.DEVICE_ID), "the device is not where it was expected"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._qemu.__exit__(kind, error, traceback)

    def load(self, offset: int, size: int = 4) -> int:
        return self._qemu.read(LAST_SLOT + offset, size)

    def store(self, offset: int, value: int, size: int = 4) -> None:
        self._qemu.write(LAST_SLOT + offset, size, value)

    def read(self, address: int, length: int) -> bytes:
        if not length:
            return b""
        (data,) = self._qemu._ask("read", hex(address), hex(length))
        return bytes.fromhex(data.removeprefix("0x"))

    def write(self, address: int, data: bytes) -> None:
        if data:
            self._qemu._ask("write", hex(address), hex(len(data)), "0x" + data.hex())
