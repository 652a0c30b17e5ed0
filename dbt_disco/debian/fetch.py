"""Making the Debian guest: its packages, then the kernel, the initramfs and the root disk made from them.

Each of the three files appears complete or not at all; one that is there is left as it is. So a run that was ended
is taken up by the next one, and nothing that a guest has written to its disk is ever lost.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dbt_disco.debian.apt import ArchiveSource
from dbt_disco.debian.ext4_image import make_ext4_image
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.debian.initramfs import write_initramfs
from dbt_disco.debian.kernel_package import read_kernel_package
from dbt_disco.debian.package_set import PackageSet, download_packages, find_packages
from dbt_disco.debian.progress import Progress
from dbt_disco.debian.root_file_system import RootFileSystem, tree_size

_FREE_SPACE: Final = 256 << 20
"""Bytes of the root disk beyond what the packages take; space that the guest never uses takes none on the host."""
_SIZE_UNIT: Final = 16 << 20


def fetch_debian(guest: GuestFiles, source: ArchiveSource | None, progress: Progress) -> None:
    """Make the files of `guest` that are missing; `source` is where packages come from, None if unknown.

    Raises FetchError, and OSError if the directory cannot be written.
    """
    guest.packages.mkdir(parents=True, exist_ok=True)
    with _only_one(guest.directory):
        packages = find_packages(guest.packages)
        if packages is None:
            packages = download_packages(guest.packages, source, guest.directory / "apt", progress)
        work = guest.directory / "unfinished"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        _make_missing(guest, packages, work, progress)
        shutil.rmtree(work)


def _make_missing(guest: GuestFiles, packages: PackageSet, work: Path, progress: Progress) -> None:
    missing = guest.missing()
    unfinished = GuestFiles(work)
    if guest.kernel in missing or guest.initramfs in missing:
        progress.step("kernel and initramfs")
        kernel = read_kernel_package(packages.kernel)
        unfinished.kernel.write_bytes(kernel.vmlinuz)
        with open(unfinished.initramfs, "wb") as file:
            write_initramfs(file, packages.busybox, kernel.modules)
    if guest.root_disk in missing:
        _make_root_disk(unfinished.root_disk, packages, work / "root", progress)
    for path in missing:
        os.replace(work / path.name, path)


def _make_root_disk(image: Path, packages: PackageSet, tree: Path, progress: Progress) -> None:
    files = RootFileSystem(tree)
    files.unpack(packages.user_land, progress.step("root disk: files"))
    files.configure()
    progress.step("root disk: image")
    size = tree_size(tree) + _FREE_SPACE
    make_ext4_image(tree, files.owners, image, -(-size // _SIZE_UNIT) * _SIZE_UNIT)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Keep other processes from making the same guest; the lock ends with this process at the latest."""
    with open(directory / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FetchError(f"{directory}: another `dbt-disco fetch` is at work there") from error
        yield
