"""File descriptors of our own, kept where a guest that counts from 0 does not meet them.

A guest's descriptors are the host's, number for number. What the runtime opens for itself (worker pipes,
memory files, the guest's memory) must therefore leave the low numbers free.
"""

from __future__ import annotations

import fcntl
import os
import resource
from contextlib import suppress
from functools import cache
from typing import Final

own_descriptors: Final[set[int]] = set()
"""Descriptors a guest must neither use nor close: to it they are not open."""

_SPACE: Final = 64
"""How many numbers below the limit are ours."""
_RESERVE: Final = 12
"""Enough to import modules and to start the compile worker."""
_SHARE: Final = 8
"""No more than one descriptor in so many is kept in reserve."""


def out_of_the_way(fd: int) -> int:
    """Move `fd` to a high number, close-on-exec, and note it as our own; returns the new number."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY or limit > 1 << 16:
        limit = 1 << 16
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(limit - _SPACE, 3))
    os.close(fd)
    own_descriptors.add(moved)
    return moved


class DescriptorReserve:
    """Descriptors kept for us in case the guest uses up all others."""

    def __init__(self) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._count = _RESERVE if limit == resource.RLIM_INFINITY else min(_RESERVE, limit // _SHARE)
        self._first = out_of_the_way(os.open(os.devnull, os.O_RDONLY))
        self._others: list[int] = []
        self.fill()

    def fill(self) -> None:
        """Take as many as there shall be, or as there are."""
        with suppress(OSError):
            while len(self._others) < self._count:
                number = fcntl.fcntl(self._first, fcntl.F_DUPFD_CLOEXEC, self._first + 1)
                own_descriptors.add(number)
                self._others.append(number)

    def release(self) -> None:
        """Give them free, but for the one that others are made of."""
        while self._others:
            close_own(self._others.pop())


@cache
def descriptor_reserve() -> DescriptorReserve:
    """This process's."""
    return DescriptorReserve()


def close_own(fd: int) -> None:
    """Close a descriptor that `out_of_the_way` returned."""
    own_descriptors.discard(fd)
    os.close(fd)
