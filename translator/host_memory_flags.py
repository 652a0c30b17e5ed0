"""Numbers of the host's memory calls (x86-64 Linux, mmap(2)), for native code and for `runtime.host_memory`."""

from __future__ import annotations

from typing import Final

PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4
MAP_SHARED: Final = 0x01
MAP_PRIVATE: Final = 0x02
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
MAP_NORESERVE: Final = 0x4000
MAP_POPULATE: Final = 0x8000
MADV_DONTNEED: Final = 4
MADV_POPULATE_READ: Final = 22
"""Since Linux 5.14."""
MADV_COLLAPSE: Final = 25
"""Since Linux 6.1."""
