"""Our own guest kernel, built from guests/kernel: where it is, and how it ends."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Final

_GUEST: Final = Path(__file__).parent / "guest"
KERNEL: Final = _GUEST / "mipsel" / "kernel"
KERNEL_BIG_ENDIAN: Final = _GUEST / "mips" / "kernel"


class KernelStatus(IntEnum):
    """The exit status it powers off with."""

    DONE = 0
    FAILED = 1
    """A task failed, and the report says so."""
    USAGE = 2
    """The command line is not clear."""
    PANIC = 4
