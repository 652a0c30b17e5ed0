"""Times in the guest's structures, 32 and 64 bits wide."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from dbt_disco.linux.host_kernel import HostStructure
from dbt_disco.linux.structures import TIMESPEC, TIMESPEC64

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess


def read_time(process: LinuxProcess, address: int, wide: bool) -> tuple[int, int]:
    """Seconds and nanoseconds (of a timespec) or microseconds (of a timeval) at `address`."""
    values = process.memory.structure(TIMESPEC64 if wide else TIMESPEC, address)
    # The upper half of a 64-bit nsec is padding for a 32-bit program, and may hold anything.
    part = values["nsec"]
    if wide:
        part &= 0xFFFF_FFFF
        part -= (part & 0x8000_0000) << 1
    return values["sec"], part


def write_time(process: LinuxProcess, address: int, wide: bool, seconds: int, part: int) -> None:
    """Store a timespec or timeval."""
    if not wide and not -(1 << 31) <= seconds < 1 << 31:
        raise OSError(errno.EOVERFLOW, "time beyond 2038 in a 32-bit structure")
    layout = TIMESPEC64 if wide else TIMESPEC
    process.memory.set_structure(layout, address, {"sec": seconds, "nsec": part})


def host_time(process: LinuxProcess, address: int, wide: bool) -> HostStructure | None:
    """The host's timespec (or timeval) for the guest's; None for a null pointer."""
    if not address:
        return None
    seconds, part = read_time(process, address, wide)
    return HostStructure(TIMESPEC64, {"sec": seconds, "nsec": part})


def store_host_time(process: LinuxProcess, address: int, wide: bool, host: HostStructure | None) -> None:
    """Store back what the host kernel left in `host`, if there is anything to store to."""
    if host is not None and address:
        values = host.values()
        write_time(process, address, wide, values["sec"], values["nsec"])
