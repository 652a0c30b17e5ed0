"""The packages of the guest in a directory: found there, or downloaded with apt."""

from __future__ import annotations

from pathlib import Path

from dbt_disco.debian.apt import Apt, ArchiveSource, apt_is_installed
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.packages import (
    ARCHITECTURE,
    BUSYBOX,
    DEPENDENCIES,
    KERNEL_PREFIX,
    NOT_IN_GUEST,
    SUITE,
    USER_LAND,
    newest_kernel,
)
from dbt_disco.debian.progress import Progress


class PackageSet:
    """Package files by name."""

    def __init__(self, files: dict[str, Path]) -> None:
        """Raises FetchError if there is no kernel."""
        kernel = newest_kernel(list(files))
        if kernel is None:
            raise FetchError(f"no package {KERNEL_PREFIX}*; {_by_hand(None)}")
        self.kernel = files[kernel]
        self.busybox = files[BUSYBOX]
        self.user_land = [path for name, path in sorted(files.items()) if not name.startswith(KERNEL_PREFIX)]
        """What goes onto the root disk, busybox among it."""


def find_packages(directory: Path) -> PackageSet | None:
    """The packages in a directory; None unless all are there, whoever has put them there.

    Raises FetchError if there are two versions of one.
    """
    files: dict[str, Path] = {}
    for path in sorted(directory.glob("*.deb")):
        name = path.name.partition("_")[0]
        if name in files:
            raise FetchError(
                f"{directory}: two versions of {name}: {files[name].name} and {path.name}; remove one"
            )
        files[name] = path
    if newest_kernel(list(files)) is None or any(name not in files for name in _without_kernel()):
        return None
    return PackageSet(files)


def download_packages(
    directory: Path, source: ArchiveSource | None, state: Path, progress: Progress
) -> PackageSet:
    """Download into `directory` what is not there; apt keeps its own files in `state`.

    `source` is None if none is known. Raises FetchError if that cannot be; it says then what to download by hand
    and where to put it.
    """
    if not apt_is_installed():
        raise FetchError(f"this host has no apt; {_by_hand(directory)}")
    if source is None:
        raise FetchError(
            f"this host's apt knows no Debian mirror; give --mirror URL of one that has {ARCHITECTURE}, "
            f"or {_by_hand(directory)}"
        )
    if not source.keyring.is_file():
        raise FetchError(
            f"{source.keyring}: no such file; install debian-archive-keyring, or give --keyring FILE"
        )
    apt = Apt(state, source, installed=NOT_IN_GUEST)
    apt.update(progress.step(f"list of packages: {source.mirror} {source.suite}"))
    kernel = newest_kernel(apt.names(KERNEL_PREFIX))
    if kernel is None:
        raise FetchError(
            f"{source.mirror} {source.suite} has no kernel for {ARCHITECTURE}; give --mirror and --suite of an "
            f"archive that has, or {_by_hand(directory)}"
        )
    wanted = [kernel, BUSYBOX, *USER_LAND]
    needed = apt.needed(wanted)
    megabytes = sum(package.size for package in needed) // 1_000_000
    apt.download(wanted, directory, progress.step(f"{len(needed)} packages, {megabytes} MB"))
    files = {package.file_name.partition("_")[0]: directory / package.file_name for package in needed}
    for outdated in set(directory.glob("*.deb")) - set(files.values()):
        outdated.unlink()
    return PackageSet(files)


def _without_kernel() -> list[str]:
    return sorted({BUSYBOX, *USER_LAND, *DEPENDENCIES})


def _by_hand(directory: Path | None) -> str:
    names = ", ".join((f"{KERNEL_PREFIX}*-mips32r2el (the newest)", *_without_kernel()))
    where = f" to {directory}" if directory else ""
    return f"download these packages of Debian {SUITE} ({ARCHITECTURE} or all){where} and run this again: {names}"
