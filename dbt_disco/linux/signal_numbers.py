"""Signal numbers: MIPS Linux numbers most of them in its own way, and has 127 of them (asm/signal.h)."""

from __future__ import annotations

import signal
from enum import Enum
from typing import Final


class DefaultAction(Enum):
    """What a signal does to a process that neither catches nor ignores it."""

    TERMINATE = "terminate"
    CORE = "core"
    IGNORE = "ignore"
    STOP = "stop"


_CORE: Final = DefaultAction.CORE
_TERMINATE: Final = DefaultAction.TERMINATE
_IGNORE: Final = DefaultAction.IGNORE
_STOP: Final = DefaultAction.STOP

# guest number, name, default action
_SIGNALS: Final = (
    (1, "SIGHUP", _TERMINATE),
    (2, "SIGINT", _TERMINATE),
    (3, "SIGQUIT", _CORE),
    (4, "SIGILL", _CORE),
    (5, "SIGTRAP", _CORE),
    (6, "SIGABRT", _CORE),
    (7, "SIGEMT", _TERMINATE),
    (8, "SIGFPE", _CORE),
    (9, "SIGKILL", _TERMINATE),
    (10, "SIGBUS", _CORE),
    (11, "SIGSEGV", _CORE),
    (12, "SIGSYS", _CORE),
    (13, "SIGPIPE", _TERMINATE),
    (14, "SIGALRM", _TERMINATE),
    (15, "SIGTERM", _TERMINATE),
    (16, "SIGUSR1", _TERMINATE),
    (17, "SIGUSR2", _TERMINATE),
    (18, "SIGCHLD", _IGNORE),
    (19, "SIGPWR", _TERMINATE),
    (20, "SIGWINCH", _IGNORE),
    (21, "SIGURG", _IGNORE),
    (22, "SIGIO", _TERMINATE),
    (23, "SIGSTOP", _STOP),
    (24, "SIGTSTP", _STOP),
    (25, "SIGCONT", _IGNORE),
    (26, "SIGTTIN", _STOP),
    (27, "SIGTTOU", _STOP),
    (28, "SIGVTALRM", _TERMINATE),
    (29, "SIGPROF", _TERMINATE),
    (30, "SIGXCPU", _CORE),
    (31, "SIGXFSZ", _CORE),
)

LAST: Final = 127
"""Highest usable guest signal number."""
FIRST_REAL_TIME: Final = 32
HOST_LAST: Final = 64

_NAMES: Final = {number: name for number, name, _ in _SIGNALS}
_NUMBERS: Final = {name: number for number, name, _ in _SIGNALS}
_ACTIONS: Final = {number: action for number, _, action in _SIGNALS}
_HOST: Final = {number: int(getattr(signal, name)) for number, name, _ in _SIGNALS if hasattr(signal, name)}
_GUEST: Final = {host: number for number, host in _HOST.items()}

SIGILL: Final = _NUMBERS["SIGILL"]
SIGTRAP: Final = _NUMBERS["SIGTRAP"]
SIGFPE: Final = _NUMBERS["SIGFPE"]
SIGKILL: Final = _NUMBERS["SIGKILL"]
SIGBUS: Final = _NUMBERS["SIGBUS"]
SIGSEGV: Final = _NUMBERS["SIGSEGV"]
SIGCHLD: Final = _NUMBERS["SIGCHLD"]
SIGCONT: Final = _NUMBERS["SIGCONT"]
SIGSTOP: Final = _NUMBERS["SIGSTOP"]
SYNCHRONOUS: Final = frozenset({SIGILL, SIGTRAP, SIGFPE, SIGBUS, SIGSEGV})
"""Signals an instruction raises; they are the runtime's own on the host and never blocked there."""


def signal_name(number: int) -> str:
    """`SIGINT`, `SIGRT_3`, …"""
    return _NAMES.get(number) or f"SIGRT_{number - FIRST_REAL_TIME}"


def default_action(number: int) -> DefaultAction:
    """What the guest's signal does by default."""
    return _ACTIONS.get(number, DefaultAction.TERMINATE)


def host_signal(guest: int) -> int | None:
    """The host's number for a guest's signal; None when the host has no such signal.

    Real-time signals keep their numbers, as far as the host's 64 reach: both C libraries use the first two or
    three of them for themselves, and must find their own.
    """
    if FIRST_REAL_TIME <= guest <= HOST_LAST:
        return guest
    return _HOST.get(guest)


def guest_signal(host: int) -> int | None:
    """The guest's number for a host's signal; None when the guest has no such signal (SIGSTKFLT)."""
    if FIRST_REAL_TIME <= host <= HOST_LAST:
        return host
    return _GUEST.get(host)


def guest_code(host_code: int) -> int:
    """The guest's si_code for the host's: MIPS has three of them in another order (asm/siginfo.h)."""
    return _GUEST_CODES.get(host_code, host_code)


def host_code(guest_code: int) -> int:
    """The inverse of `guest_code`."""
    return _HOST_CODES.get(guest_code, guest_code)


_GUEST_CODES: Final = {-2: -3, -3: -4, -4: -2}  # SI_TIMER, SI_MESGQ, SI_ASYNCIO
_HOST_CODES: Final = {guest: host for host, guest in _GUEST_CODES.items()}


def host_mask(guest_mask: int) -> int:
    """A guest's signal set (bit 0 = signal 1) as the host's, without what the guest must not block."""
    mask = 0
    number = 1
    while guest_mask:
        if guest_mask & 1 and number not in SYNCHRONOUS:
            host = host_signal(number)
            if host is not None:
                mask |= 1 << (host - 1)
        guest_mask >>= 1
        number += 1
    return mask


def guest_mask(host: int) -> int:
    """A host's signal set as the guest's."""
    mask = 0
    for number in range(1, HOST_LAST + 1):
        if host >> (number - 1) & 1:
            guest = guest_signal(number)
            if guest is not None:
                mask |= 1 << (guest - 1)
    return mask
