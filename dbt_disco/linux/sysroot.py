"""Where a guest's path is on the host: `--sysroot` works as QEMU's `-L`."""

from __future__ import annotations

import os


class Sysroot:
    """A directory whose files come before the host's when a guest looks up an absolute path."""

    def __init__(self, directory: bytes | None) -> None:
        self.directory = os.path.abspath(directory) if directory else None

    def resolve(self, path: bytes) -> bytes:
        """The host path of a guest path: within the directory if something of that name is there."""
        if self.directory is None or not path.startswith(b"/"):
            return path
        inside = self.directory + path
        return inside if os.path.lexists(inside) else path

    def resolve_program(self, name: bytes) -> bytes:
        """The host path of a program that is not on the host under this name."""
        if self.directory is None:
            return name
        inside = os.path.join(self.directory, name.lstrip(b"/"))
        return inside if os.path.exists(inside) else name
