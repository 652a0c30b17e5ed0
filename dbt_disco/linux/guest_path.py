"""From a guest's path argument to the host's, and the paths under /proc that name the guest itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_LONGEST: Final = 4097
"""One more than PATH_MAX allows: the host kernel then says ENAMETOOLONG."""


def guest_path(process: LinuxProcess, address: int, *, follow: bool = False) -> bytes:
    """The host path of what the guest names by the string at `address`.

    `follow`: the call means what a symbolic link points to, not the link.
    """
    return process.root.resolve(process.memory.string(address, _LONGEST), follow=follow)


def own_process_file(process: LinuxProcess, path: bytes) -> str | None:
    """`maps` for `/proc/self/maps`, `/proc/<own pid>/maps` and the like; None for any other path."""
    if not path.startswith(b"/proc/"):
        return None
    parts = path.split(b"/")
    if len(parts) == 4 and parts[2] in (b"self", b"thread-self", str(os.getpid()).encode()):
        return os.fsdecode(parts[3])
    return None
