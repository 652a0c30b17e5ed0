"""The host's signal actions (sigaction), for handlers that are native code and not Python's."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterable
from typing import Final

SIGNALS: Final = 65
"""One more than the host's highest signal number."""
ACTION_SIZE: Final = 152
"""Of glibc's struct sigaction on x86-64 Linux."""

_SA_SIGINFO: Final = 4
_SA_RESTART: Final = 0x1000_0000
_SA_NODEFER: Final = 0x4000_0000


class SignalAction(ctypes.Structure):
    """glibc's struct sigaction on x86-64 Linux."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


assert ctypes.sizeof(SignalAction) == ACTION_SIZE

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.sigaction.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class SignalActions:
    """Native handlers set here, and the actions that they have taken the place of."""

    def __init__(self) -> None:
        self.old: Final = (SignalAction * SIGNALS)()
        """By signal number, as far as a handler is set."""
        self._set: Final[set[int]] = set()

    def set(self, number: int, handler: int, *, blocked: Iterable[int] = (), restart: bool = False) -> None:
        """Have signal `number` call the code at host address `handler` with (number, siginfo, context).

        System calls are not restarted unless `restart`; signals in `blocked` wait until it has returned. The action
        there was before the first call is kept.
        """
        flags = _SA_SIGINFO | _SA_NODEFER | (_SA_RESTART if restart else 0)
        action = SignalAction(handler=handler, flags=flags)
        action.mask[0] = sum(1 << (other - 1) for other in blocked)
        old = None if number in self._set else ctypes.byref(self.old[number])
        _check(_libc.sigaction(number, ctypes.byref(action), old), number)
        self._set.add(number)

    def restore(self, number: int) -> None:
        """Give signal `number` the action that it had before, if a handler is set."""
        if number in self._set:
            self._set.discard(number)
            _check(_libc.sigaction(number, ctypes.byref(self.old[number]), None), number)


def _check(result: int, number: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"the action of {signal.strsignal(number) or number} cannot be set")
