"""Where a guest's path is on the host: `--sysroot` works as QEMU's `-L`."""

from __future__ import annotations

import os
import stat
from typing import Final

_MAXIMUM_LINKS: Final = 40  # as Linux


class Sysroot:
    """A directory whose files come before the host's when a guest looks up an absolute path.

    What the guest creates under a new name is created on the host. Better than in QEMU, a symbolic link in
    the directory that holds an absolute path is followed within the directory.
    """

    def __init__(self, directory: bytes | None) -> None:
        self.directory = os.path.abspath(directory) if directory else None

    def resolve(self, path: bytes, *, follow: bool) -> bytes:
        """The host path of a guest path: within the directory if something of that name is there.

        `follow` tells whether the guest means what a symbolic link points to.
        """
        if self.directory is None:
            return path
        for _ in range(_MAXIMUM_LINKS):
            if not path.startswith(b"/"):
                break
            inside = self.directory + path
            try:
                is_link = stat.S_ISLNK(os.lstat(inside).st_mode)
                if not (follow and is_link):
                    return inside
                path = os.path.join(os.path.dirname(path), os.readlink(inside))
            except (OSError, ValueError):
                break
        return path

    def resolve_program(self, name: bytes) -> bytes:
        """The host path of a program that is not on the host under this name."""
        inside = self.resolve(b"/" + name.lstrip(b"/"), follow=True)
        return inside if os.path.exists(inside) else name
