"""The packages of the guest in a directory: found there, or downloaded with apt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dbt_disco.debian.apt import Apt, ArchiveSource, apt_is_installed
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.packages import (
    ARCHITECTURE,
    BUSYBOX,
    DEPENDENCIES,
    GENERIC_FLAVOUR,
    KERNEL_PREFIX,
    NOT_IN_GUEST,
    SUITE,
    USER_LAND,
    newest_kernel,
)
from dbt_disco.debian.progress import Progress


@dataclass(frozen=True)
class PackageSet:
    """The files of the packages that the guest is made of."""

    kernel: Path
    busybox: Path
    user_land: list[Path]
    """What goes onto the root disk, busybox among it."""


def find_packages(directory: Path) -> PackageSet | None:
    """The packages in a directory; None unless all are there, whoever has put them there.

    Further packages go onto the root disk, too. Raises FetchError if there are two versions of one.
    """
    names = [_name(path) for path in directory.glob("*.deb")]
    if newest_kernel(names) is None or not set(names).issuperset(_without_kernel()):
        return None
    return _package_set(directory)


def _package_set(directory: Path) -> PackageSet:
    """All packages in a directory, the kernel and busybox among them."""
    files: dict[str, Path] = {}
    for path in sorted(directory.glob("*.deb")):
        other = files.setdefault(_name(path), path)
        if other is not path:
            raise FetchError(
                f"{directory}: two versions of a package, {other.name} and {path.name}; remove one"
            )
    kernel = newest_kernel(files)
    assert kernel is not None
    user_land = [path for name, path in files.items() if not name.startswith(KERNEL_PREFIX)]
    return PackageSet(files[kernel], files[BUSYBOX], user_land)


def _name(path: Path) -> str:
    """The package's name, from its file's: NAME_VERSION_ARCHITECTURE.deb."""
    return path.name.partition("_")[0]


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
    files = {_name(Path(package.file_name)): package.file_name for package in needed}
    for path in directory.glob("*.deb"):
        if files.get(_name(path), path.name) != path.name:
            path.unlink()  # from an earlier, unfinished download
    return _package_set(directory)


def _without_kernel() -> list[str]:
    return sorted({BUSYBOX, *USER_LAND, *DEPENDENCIES})


def _by_hand(directory: Path) -> str:
    names = ", ".join((f"{KERNEL_PREFIX}*-{GENERIC_FLAVOUR} (the newest)", *_without_kernel()))
    origin = f"Debian {SUITE} ({ARCHITECTURE} or all)"
    return f"download these packages of {origin} to {directory} and run this again: {names}"
