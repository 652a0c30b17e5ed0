"""Where the Debian guest's files are: what `dbt-disco fetch debian` makes and `dbt-disco boot debian` boots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.disk_cache import cache_directory


def default_directory() -> Path:
    """The directory used unless another one is asked for."""
    return cache_directory() / "debian"


@dataclass(frozen=True)
class GuestFiles:
    """The files of a guest in one directory."""

    directory: Path

    @property
    def kernel(self) -> Path:
        """Debian's kernel as packaged."""
        return self.directory / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """An uncompressed cpio archive."""
        return self.directory / "initramfs.cpio"

    @property
    def root_disk(self) -> Path:
        """A raw image of an ext4 file system."""
        return self.directory / "root.ext4"

    @property
    def packages(self) -> Path:
        """The directory of the packages that all of it is made from."""
        return self.directory / "packages"

    def missing(self) -> list[Path]:
        """Those of the three files that are not there. A file that is there is complete."""
        return [path for path in (self.kernel, self.initramfs, self.root_disk) if not path.exists()]
