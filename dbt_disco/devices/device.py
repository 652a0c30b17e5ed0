"""What a device is to the virtual machine, and what the virtual machine offers a device.

Devices run on the thread of the vCPU that touches them: nothing here needs a lock. What happens outside (console
input, packets) reaches a device through `Surroundings.watch`, whose callbacks run on that thread, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from runtime.addresses import PhysicalAddress
from runtime.system.physical_memory import NotMemory

__all__ = ["Device", "GuestMemory", "InterruptLine", "NotMemory", "Surroundings", "Timer"]


class Device(ABC):
    """A range of registers on the bus. All its state lives in fields that `state` and `restore` carry."""

    @abstractmethod
    def read(self, offset: int, size: int) -> int:
        """The register at byte `offset` from the device's start, for an access of 1, 2 or 4 bytes.

        Bytes stand in the guest's order already: the value is what a load of that size gives (unextended). What
        is no register reads 0.
        """

    @abstractmethod
    def write(self, offset: int, size: int, value: int) -> None:
        """Store `value`; what is no register ignores it."""

    @abstractmethod
    def reset(self) -> None:
        """Go back to the state after power-on."""

    def state(self) -> dict[str, Any]:
        """Everything a guest could observe of the device, as JSON-compatible values and bytes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027  a device without state has nothing to do
        """Take over what `state` gave."""


class InterruptLine(Protocol):
    """A device's wire to the interrupt controller; several devices may share one CPU interrupt."""

    def set(self, level: bool) -> None:
        """Raise or lower the wire."""


class GuestMemory(Protocol):
    """Physical memory as a device's DMA sees it. Every write drops code decoded from the range."""

    def read(self, address: PhysicalAddress, length: int) -> bytes:
        """The bytes of a range; `NotMemory` unless all of it is memory."""

    def write(self, address: PhysicalAddress, data: bytes | bytearray | memoryview) -> None:
        """Store bytes; `NotMemory` (and nothing is stored) unless all of the range is memory."""

    def release(self, address: PhysicalAddress, length: int) -> None:
        """Take back whole pages that the guest says it does not use (ballooning); they read as zero afterwards."""


class DirectRegisters(Protocol):
    """Registers of one byte that need not come to the device as long as it has said what they do.

    Offsets are from the device's start; a register is eight bytes wide.
    """

    def loads_give(self, offset: int, value: int | None) -> None:
        """Loading the byte gives `value` and changes nothing; None: come and ask."""

    def collect_stores(self, offset: int, receive: Callable[[bytes], None]) -> None:
        """Bytes stored change nothing but what `receive` is soon given, in front of any other access to a device."""

    def collect_no_more(self) -> None:
        """Come with every store."""


class Timer(Protocol):
    """A callback that `Surroundings.call_at` has promised."""

    def cancel(self) -> None: ...


class Surroundings(Protocol):
    """Time and the outside world. Under the instruction clock, time is what the guest has executed."""

    def now(self) -> int:
        """Nanoseconds since the virtual machine was started."""

    def wall_clock(self) -> int:
        """Nanoseconds since 1970, for the real-time clock; fixed at the start in deterministic runs."""

    def call_at(self, time: int, callback: Callable[[], None]) -> Timer:
        """Call back on the vCPU's thread when `now()` has reached `time`."""

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back on the vCPU's thread when the file descriptor is readable, as long as it is."""

    def unwatch(self, descriptor: int) -> None: ...

    def random(self, length: int) -> bytes:
        """Random bytes; seeded in deterministic runs."""
