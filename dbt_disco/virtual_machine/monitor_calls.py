"""Monitor calls: what a guest can ask the monitor for by `hypcall`.

The number of the call is in v0, its arguments are in a0 to a3; v0 gets the result, which is 0 (if nothing else is
said below) or a negative error number of Linux for MIPS.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from dbt_disco.devices.character_backend import CharacterBackend
from dbt_disco.devices.device import Surroundings
from dbt_disco.linux.errno_numbers import guest_errno
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_memory import NotMapped, read_virtual
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE, PhysicalAddress
from runtime.system.physical_memory import NotMemory, PhysicalMemory

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.processor import AnyVcpu

INTERFACE_VERSION: Final = 1

_V0, _V1, _A0, _A1 = 2, 3, 4, 5
_LOW: Final = 0xFFFF_FFFF
_STATUS: Final = 0xFF
_CONSOLE_WRITE_MAX: Final = 1 << 20
"""Bytes in one call; a console that takes more at once helps nobody."""


class Caller(Protocol):
    """The virtual machine that calls."""

    @property
    def vcpu(self) -> AnyVcpu: ...
    @property
    def memory(self) -> PhysicalMemory: ...
    @property
    def surroundings(self) -> Surroundings: ...
    @property
    def console(self) -> CharacterBackend: ...
    @property
    def monitor_calls(self) -> dict[str, int]:
        """How many calls there have been, by their names."""

    def end(self, outcome: Outcome) -> None:
        """Stop running, as the guest wants it."""


class _Refused(Exception):
    """The result is an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def answer_monitor_call(caller: Caller) -> None:
    """Do what the `hypcall` at pc asks for, and go on behind it."""
    registers = caller.vcpu.state.gpr
    name, call = MONITOR_CALLS.get(registers[_V0], _UNKNOWN_CALL)
    caller.monitor_calls[name] = caller.monitor_calls.get(name, 0) + 1
    try:
        result = call(caller)
    except _Refused as refused:
        result = -guest_errno(refused.number)
    registers[_V0] = result & _LOW
    caller.vcpu.advance()


def _version(caller: Caller) -> int:
    """→ INTERFACE_VERSION."""
    return INTERFACE_VERSION


def _write_console(caller: Caller) -> int:
    """a0: virtual address, a1: length. EFAULT if it is not all mapped memory, EINVAL if it is too long."""
    registers = caller.vcpu.state.gpr
    if registers[_A1] > _CONSOLE_WRITE_MAX:
        raise _Refused(errno.EINVAL)
    try:
        data = b"".join(read_virtual(caller.vcpu.state, caller.memory, registers[_A0], registers[_A1]))
    except (NotMapped, NotMemory):
        raise _Refused(errno.EFAULT) from None
    if data:
        caller.console.write(data)
    return 0


def _time(caller: Caller) -> int:
    """→ v0 low, v1 high: nanoseconds since the virtual machine was started."""
    now = caller.surroundings.now()
    caller.vcpu.state.gpr[_V1] = now >> 32 & _LOW
    return now


def _power_off(caller: Caller) -> int:
    """a0: exit status, of which the lowest eight bits count. The virtual machine ends."""
    caller.end(Outcome(Ending.POWER_OFF, caller.vcpu.state.gpr[_A0] & _STATUS))
    return 0


def _release_page(caller: Caller) -> int:
    """a0: physical address of a page, which reads as zero from now on; EINVAL if it is none, EFAULT if no memory."""
    address = caller.vcpu.state.gpr[_A0]
    if address % MACHINE_PAGE_SIZE:
        raise _Refused(errno.EINVAL)
    if not caller.memory.is_memory(address >> MACHINE_PAGE_SHIFT):
        raise _Refused(errno.EFAULT)
    caller.memory.release(PhysicalAddress(address), MACHINE_PAGE_SIZE)
    return 0


def _unknown(caller: Caller) -> int:
    raise _Refused(errno.ENOSYS)


_Call = tuple[str, Callable[[Caller], int]]
MONITOR_CALLS: Final[dict[int, _Call]] = {
    0: ("version", _version),
    1: ("write_console", _write_console),
    2: ("time", _time),
    3: ("power_off", _power_off),
    4: ("zeroed_page", _release_page),  # give me one
    5: ("free_page", _release_page),  # I do not need it, whatever it is going to hold
}
"""Call number → what it is called in statistics, and what answers it and gives v0."""
_UNKNOWN_CALL: Final[_Call] = ("unknown", _unknown)
"""All others, which are one in statistics: a guest may think of any number."""
