"""ioctl: terminals, and the few requests that any file understands (asm/ioctls.h)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.system_call import FD, POINTER, UINT, system_call
from dbt_disco.linux.terminal_settings import (
    HOST_TERMIOS,
    HOST_TERMIOS2,
    TERMIOS,
    TERMIOS2,
    to_guest,
    to_host,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_NUMBER: Final = Layout("i value")
_LONG_LONG: Final = Layout("q value")
_WINDOW_SIZE: Final = Layout("H rows, H columns, H width, H height")


_GETS: Final = "gets"
"""The kernel fills the structure in."""
_SETS: Final = "sets"
"""The kernel reads the structure."""


class _Request(NamedTuple):
    """One ioctl request. `layout` None: the argument is a plain number, or none."""

    name: str
    guest: int
    host: int
    direction: str = ""
    layout: Layout | None = None
    host_layout: Layout | None = None
    """The host's layout, if it is another: a terminal's settings."""


_REQUESTS: Final = (
    _Request("TCGETS", 0x540D, 0x5401, _GETS, TERMIOS, HOST_TERMIOS),
    _Request("TCSETS", 0x540E, 0x5402, _SETS, TERMIOS, HOST_TERMIOS),
    _Request("TCSETSW", 0x540F, 0x5403, _SETS, TERMIOS, HOST_TERMIOS),
    _Request("TCSETSF", 0x5410, 0x5404, _SETS, TERMIOS, HOST_TERMIOS),
    _Request("TCGETS2", 0x4030_542A, 0x802C_542A, _GETS, TERMIOS2, HOST_TERMIOS2),
    _Request("TCSETS2", 0x8030_542B, 0x402C_542B, _SETS, TERMIOS2, HOST_TERMIOS2),
    _Request("TCSETSW2", 0x8030_542C, 0x402C_542C, _SETS, TERMIOS2, HOST_TERMIOS2),
    _Request("TCSETSF2", 0x8030_542D, 0x402C_542D, _SETS, TERMIOS2, HOST_TERMIOS2),
    _Request("TCSBRK", 0x5405, 0x5409),
    _Request("TCSBRKP", 0x5486, 0x5425),
    _Request("TCXONC", 0x5406, 0x540A),
    _Request("TCFLSH", 0x5407, 0x540B),
    _Request("TIOCEXCL", 0x740D, 0x540C),
    _Request("TIOCNXCL", 0x740E, 0x540D),
    _Request("TIOCSCTTY", 0x5480, 0x540E),
    _Request("TIOCNOTTY", 0x5471, 0x5422),
    _Request("TIOCGPGRP", 0x4004_7477, 0x540F, _GETS, _NUMBER),
    _Request("TIOCSPGRP", 0x8004_7476, 0x5410, _SETS, _NUMBER),
    _Request("TIOCGSID", 0x7416, 0x5429, _GETS, _NUMBER),
    _Request("TIOCOUTQ", 0x7472, 0x5411, _GETS, _NUMBER),
    _Request("TIOCGWINSZ", 0x4008_7468, 0x5413, _GETS, _WINDOW_SIZE),
    _Request("TIOCSWINSZ", 0x8008_7467, 0x5414, _SETS, _WINDOW_SIZE),
    _Request("TIOCMGET", 0x741D, 0x5415, _GETS, _NUMBER),
    _Request("TIOCMBIS", 0x741B, 0x5416, _SETS, _NUMBER),
    _Request("TIOCMBIC", 0x741C, 0x5417, _SETS, _NUMBER),
    _Request("TIOCMSET", 0x741A, 0x5418, _SETS, _NUMBER),
    _Request("TIOCGETD", 0x7400, 0x5424, _GETS, _NUMBER),
    _Request("TIOCSETD", 0x7401, 0x5423, _SETS, _NUMBER),
    _Request("TIOCSBRK", 0x5427, 0x5427),
    _Request("TIOCCBRK", 0x5428, 0x5428),
    _Request("TIOCPKT", 0x5470, 0x5420, _SETS, _NUMBER),
    _Request("TIOCGPTN", 0x4004_5430, 0x8004_5430, _GETS, _NUMBER),
    _Request("TIOCSPTLCK", 0x8004_5431, 0x4004_5431, _SETS, _NUMBER),
    _Request("TIOCGPTPEER", 0x2000_5441, 0x5441),
    _Request("FIOCLEX", 0x6601, 0x5451),
    _Request("FIONCLEX", 0x6602, 0x5450),
    _Request("FIONBIO", 0x667E, 0x5421, _SETS, _NUMBER),
    _Request("FIOASYNC", 0x667D, 0x5452, _SETS, _NUMBER),
    _Request("FIOQSIZE", 0x667F, 0x5460, _GETS, _LONG_LONG),
    _Request("FIONREAD", 0x467F, 0x541B, _GETS, _NUMBER),
    _Request("FIGETBSZ", 0x2000_0002, 0x2, _GETS, _NUMBER),
    _Request("FICLONE", 0x8004_9409, 0x4004_9409),
    _Request("BLKGETSIZE64", 0x4004_1272, 0x8008_1272, _GETS, _LONG_LONG),
)

_BY_NUMBER: Final = {request.guest: request for request in _REQUESTS}


def request_name(number: int) -> str | None:
    """The request's name, for `--strace`."""
    request = _BY_NUMBER.get(number)
    return request.name if request else None


@system_call("ioctl", FD, UINT, POINTER)
def ioctl(process: LinuxProcess, fd: int, number: int, argument: int) -> int:
    request = _BY_NUMBER.get(number)
    if request is None:
        # What no driver knows; a descriptor that is not open comes first.
        get_descriptor_flags = 1
        return min(host_call("fcntl", fd, get_descriptor_flags), 0) or -errno.ENOTTY
    if request.layout is None:
        return process.waiting_call("ioctl", fd, request.host, argument)
    host_layout = request.host_layout or request.layout
    incoming: Callable[[dict[str, object]], dict[str, object]] = to_host if request.host_layout else _same
    values = (
        incoming(process.memory.structure(request.layout, argument)) if request.direction == _SETS else None
    )
    host = HostStructure(host_layout, values)
    result = process.waiting_call("ioctl", fd, request.host, host.buffer)
    if result >= 0 and request.direction == _GETS:
        returned = host.values()
        process.memory.set_structure(
            request.layout, argument, to_guest(returned) if request.host_layout else returned
        )
    return result


def _same(values: dict[str, object]) -> dict[str, object]:
    return values
