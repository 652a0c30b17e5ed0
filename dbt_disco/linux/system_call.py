"""Declaring system calls: name, kinds of arguments, what a signal does to a call that waits.

The kinds say how argument words become Python integers (sign, 64-bit pairs in aligned registers) and how
`--strace` shows them, so each call's signature is stated once, where it is implemented.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

from runtime.host_descriptors import own_descriptors


class Kind(NamedTuple):
    """A kind of argument."""

    name: str
    signed: bool = False
    words: int = 1
    is_descriptor: bool = False


INT: Final = Kind("int", signed=True)
UINT: Final = Kind("unsigned")
FD: Final = Kind("fd", signed=True, is_descriptor=True)
DIRFD: Final = Kind("directory fd", signed=True, is_descriptor=True)
POINTER: Final = Kind("pointer")
PATH: Final = Kind("path")
FOLLOWED_PATH: Final = Kind("path, a symbolic link at its end followed")
TEXT: Final = Kind("text")
BUFFER: Final = Kind("buffer")
"""Memory the call reads, its length being the next argument."""
SIZE: Final = Kind("size")
OPEN_FLAGS: Final = Kind("open flags")
MODE: Final = Kind("mode")
PROTECTION: Final = Kind("protection")
MAP_FLAGS: Final = Kind("map flags")
SIGNAL: Final = Kind("signal", signed=True)
CLOCK: Final = Kind("clock", signed=True)
LONG_LONG: Final = Kind("long long", signed=True, words=2)
"""A 64-bit value in a pair of argument words, the first of which is an even one."""

Handler = Callable[..., "int | None"]
_Handler = TypeVar("_Handler", bound=Handler)


class SystemCall(NamedTuple):
    """One system call as implemented."""

    name: str
    handler: Handler
    kinds: tuple[Kind, ...]
    slots: tuple[int, ...]
    """Index of each argument's first word."""
    words: int
    restarts: bool
    """Whether SA_RESTART applies; else EINTR whenever a handler has run."""
    signed: tuple[int, ...]
    """Indices of the signed arguments."""
    descriptors: tuple[int, ...]
    """Indices of descriptors among the arguments."""

    def arguments(self, words: list[int], big_endian: bool) -> list[int]:
        """The Python integers for the argument words."""
        if self.words == len(self.kinds):  # a word for each, as most calls have it
            values = words[: self.words]
            for index in self.signed:
                if values[index] >> 31:
                    values[index] -= 1 << 32
        else:
            values = self._wide_arguments(words, big_endian)
        for index in self.descriptors:
            if values[index] in own_descriptors:
                raise OSError(errno.EBADF, "the descriptor is the runtime's own")
        return values

    def _wide_arguments(self, words: list[int], big_endian: bool) -> list[int]:
        values = []
        for kind, slot in zip(self.kinds, self.slots, strict=True):
            value = words[slot]
            bits = 32
            if kind.words == 2:
                bits = 64
                value = value << 32 | words[slot + 1] if big_endian else value | words[slot + 1] << 32
            if kind.signed and value >> (bits - 1):
                value -= 1 << bits
            values.append(value)
        return values


CALLS: Final[dict[str, SystemCall]] = {}
"""Every implemented system call by name."""


def system_call(name: str, *kinds: Kind, restarts: bool = True) -> Callable[[_Handler], _Handler]:
    """Decorate the function that implements a call.

    It gets the process and the arguments and returns a result, or minus a host error number; it may raise
    `OSError` or `GuestFault` instead. None means that it has set the vCPU's registers itself.
    """
    slots = []
    position = 0
    for kind in kinds:
        if kind.words == 2:
            position += position & 1
        slots.append(position)
        position += kind.words

    signed = tuple(index for index, kind in enumerate(kinds) if kind.signed)
    descriptors = tuple(index for index, kind in enumerate(kinds) if kind.is_descriptor)

    def register(handler: _Handler) -> _Handler:
        assert name not in CALLS, f"system call {name} is implemented twice"
        call = SystemCall(name, handler, kinds, tuple(slots), position, restarts, signed, descriptors)
        CALLS[name] = call
        return handler

    return register


def timed_system_call(
    name: str, wide_name: str, *kinds: Kind, restarts: bool = True
) -> Callable[[_Handler], _Handler]:
    """Decorate what implements a call and its later form, whose times have 64-bit seconds: `wide` says which."""

    def register(handler: _Handler) -> _Handler:
        system_call(name, *kinds, restarts=restarts)(partial(handler, wide=False))
        system_call(wide_name, *kinds, restarts=restarts)(partial(handler, wide=True))
        return handler

    return register
