"""The register that resets the machine (Malta User's Manual, SOFTRES)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dbt_disco.devices.device import Device

GO_RESET: Final = 0x42
"""The value (GORESET) that resets; all others do nothing."""


class ResetRegister(Device):
    """Tells the virtual machine that the guest resets it."""

    def __init__(self, requested: Callable[[], None]) -> None:
        """`requested` is called during the guest's store."""
        self._requested = requested

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0 and value == GO_RESET:
            self._requested()

    def reset(self) -> None:
        pass
