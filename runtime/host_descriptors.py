"""File descriptors of our own, kept where a guest that counts from 0 does not meet them.

A guest's descriptors are the host's, number for number. What the runtime opens for itself (worker pipes,
memory files, the guest's memory) must therefore leave the low numbers free.
"""

from __future__ import annotations

import fcntl
import os
import resource
from typing import Final

own_descriptors: Final[set[int]] = set()
"""Descriptors a guest must neither use nor close: to it they are not open."""

_SPACE: Final = 64
"""How many numbers below the limit are ours."""


def out_of_the_way(fd: int) -> int:
    """Move `fd` to a high number, close-on-exec, and note it as our own; returns the new number."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY or limit > 1 << 16:
        limit = 1 << 16
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(limit - _SPACE, 3))
    os.close(fd)
    own_descriptors.add(moved)
    return moved


def close_own(fd: int) -> None:
    """Close a descriptor that `out_of_the_way` returned."""
    own_descriptors.discard(fd)
    os.close(fd)
