"""From a guest's path argument to the host's, and the paths under /proc that name the guest itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

LONGEST_PATH: Final = 4097
"""One more than PATH_MAX allows: the host kernel then says ENAMETOOLONG."""


def guest_path(process: LinuxProcess, address: int, *, follow: bool = False) -> bytes:
    """The host path of what the guest names by the string at `address`.

    `follow`: the call means what a symbolic link points to, not the link.
    """
    return process.root.resolve(process.memory.string(address, LONGEST_PATH), follow=follow)


def followed_path(process: LinuxProcess, address: int) -> bytes:
    """The host path of what the guest's path leads to, `/proc/self/exe` being the guest's program."""
    path = guest_path(process, address, follow=True)
    return process.program.path if own_process_file(process, path) == "exe" else path


def own_process_file(process: LinuxProcess, path: bytes) -> str | None:
    """`maps` for `/proc/self/maps`, `/proc/<own pid>/task/<own pid>/maps` and the like; None for other paths."""
    if not path.startswith(b"/proc/"):
        return None
    pid = str(os.getpid()).encode()
    match path.split(b"/")[2:]:
        case [b"self" | b"thread-self", name]:
            return os.fsdecode(name)
        case [own, name] if own == pid:
            return os.fsdecode(name)
        case [own, b"task", thread, name] if own in (b"self", pid) and thread == pid:
            return os.fsdecode(name)
    return None
