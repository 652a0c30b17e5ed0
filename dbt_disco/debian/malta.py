"""Debian's kernel for the Malta board, with which QEMU boots the same root disk: the reference that we compare with.

QEMU's Malta has no virtio-mmio, and so no use for the guest's generic kernel.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dbt_disco.debian.apt import Apt, ArchiveSource
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.initramfs import write_initramfs
from dbt_disco.debian.kernel_package import MALTA_MODULES, read_kernel_package
from dbt_disco.debian.package_set import PackageSet
from dbt_disco.debian.packages import KERNEL_PREFIX, MALTA_FLAVOUR, NOT_IN_GUEST, newest_kernel
from dbt_disco.debian.progress import Progress


@dataclass(frozen=True)
class MaltaFiles:
    """What `qemu-system-mipsel -M malta` takes as -kernel and -initrd."""

    kernel: Path
    initramfs: Path

    @classmethod
    def inside(cls, directory: Path) -> MaltaFiles:
        """Where they are in a directory, if they are."""
        return cls(directory / "vmlinuz", directory / "initramfs.cpio")

    def complete(self) -> bool:
        """Whether both are there."""
        return self.kernel.exists() and self.initramfs.exists()


def fetch_malta(
    directory: Path, packages: PackageSet, source: ArchiveSource, progress: Progress
) -> MaltaFiles:
    """Get the newest Malta kernel from `source`, and an initramfs for it, unless they are in `directory` already.

    `packages` are the guest's. Raises FetchError, and OSError if the directory cannot be written.
    """
    made = MaltaFiles.inside(directory)
    if made.complete():
        return made
    directory.mkdir(parents=True, exist_ok=True)
    apt = Apt(directory / "apt", source, installed=NOT_IN_GUEST)
    apt.update(progress.step(f"list of packages: {source.mirror} {source.suite}"))
    name = newest_kernel(apt.names(KERNEL_PREFIX), MALTA_FLAVOUR)
    if name is None:
        raise FetchError(
            f"{source.mirror} {source.suite} has no kernel for {source.architecture} {MALTA_FLAVOUR}"
        )
    archives = directory / "packages"
    apt.download([name], archives, progress.step(name))
    (package,) = (archives / file.file_name for file in apt.needed([name]))
    kernel = read_kernel_package(package, MALTA_MODULES)
    unfinished = directory / "unfinished"
    with open(unfinished, "wb") as file:
        write_initramfs(file, packages.busybox, kernel.modules)
    os.replace(unfinished, made.initramfs)
    unfinished.write_bytes(kernel.vmlinuz)
    os.replace(unfinished, made.kernel)
    return made
