"""The root disk's files: packages unpacked, and by hand what their installation scripts would have done.

Nothing here needs root: who owns a file is kept beside the files, for whoever makes the disk image.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from dbt_disco.debian import deb_file
from dbt_disco.debian.fetch_error import FetchError

_MERGED: Final = ("bin", "lib", "sbin")
"""Directories that are links into /usr, though the packages still install into them."""

_DIRECTORIES: Final = {
    **dict.fromkeys(("dev", "mnt", "media", "opt", "srv", "usr/local/bin", "usr/local/sbin"), 0o755),
    **dict.fromkeys(("proc", "sys"), 0o555),
    "tmp": 0o1777,
}

_LINKS: Final = {
    "etc/mtab": "../proc/self/mounts",
    "etc/resolv.conf": "/run/resolv.conf",
    "usr/bin/awk": "mawk",
    "usr/bin/which": "which.debianutils",
    "var/lock": "/run/lock",
    "var/run": "/run",
    **{f"usr/sbin/{name}": "../bin/busybox" for name in ("halt", "init", "poweroff", "reboot")},
}

_COPIES: Final = {
    "etc/group": "usr/share/base-passwd/group.master",
    "etc/passwd": "usr/share/base-passwd/passwd.master",
    "etc/profile": "usr/share/base-files/profile",
    "root/.bashrc": "usr/share/base-files/dot.bashrc",
    "root/.profile": "usr/share/base-files/dot.profile",
}

_FILES: Final = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost\n",
    "etc/inputrc": "set enable-bracketed-paste off\n",  # serial consoles get logged
}

_SCRIPTS: Final = {
    "etc/inittab": 0o644,
    "usr/lib/dbt-disco/start": 0o755,
    "usr/lib/dbt-disco/console-shell": 0o755,
}
"""Our own files (by their last name in `guest/`) and their permissions."""


class Owner(NamedTuple):
    """Whom a file belongs to in the guest."""

    user: int
    group: int


ROOT: Final = Owner(0, 0)


class RootFileSystem:
    """A directory tree as the guest shall see it."""

    def __init__(self, root: Path) -> None:
        """Begin an empty tree in the directory `root`, which is created."""
        self.root = root
        self.owners: dict[str, Owner] = {}
        """Path relative to the root → owner, for the files that do not belong to root."""
        self._directory_times: dict[str, float] = {}
        for name in _MERGED:
            self._make_directories(root / "usr" / name)
            (root / name).symlink_to(f"usr/{name}")

    def unpack(self, packages: Sequence[Path], progress: Callable[[float], None]) -> None:
        """Add the files of packages; `progress` is told the fraction done.

        Raises FetchError if a package is damaged.
        """
        for index, package in enumerate(packages):
            progress(index / len(packages))
            with deb_file.data_archive(package) as archive:
                try:
                    for member in archive:
                        self._unpack(archive, member)
                except deb_file.DAMAGE as error:
                    raise deb_file.damaged(package, f"data.tar cannot be unpacked: {error}") from error
        for path, time in self._directory_times.items():
            os.utime(self.root / path, (time, time))

    def configure(self) -> None:
        """Do what the packages' installation scripts would, and add what makes the tree boot.

        Raises FetchError if a package is missing that is needed for that.
        """
        for path, mode in _DIRECTORIES.items():
            self._make_directories(self._target(path))
            (self.root / path).chmod(mode)
        for path, linked in _LINKS.items():
            self._make_room(path).symlink_to(linked)
        for path, source in _COPIES.items():
            if not (self.root / source).is_file():
                raise FetchError(f"{source}: no package has it, but {path} is made from it")
            self._write(path, (self.root / source).read_bytes(), 0o644)
        for path, text in _FILES.items():
            self._write(path, text.encode(), 0o644)
        for path, mode in _SCRIPTS.items():
            self._write(path, (files(__package__) / "guest" / posixpath.basename(path)).read_bytes(), mode)

    def _unpack(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = _merged(deb_file.install_path(member))
        target = self._target(path)
        if member.isdir():
            self._unpack_directory(path, member)
        else:
            target.unlink(missing_ok=True)
            if member.isreg():
                contents = archive.extractfile(member)
                assert contents is not None  # it is a regular file
                with open(target, "xb") as file:
                    shutil.copyfileobj(contents, file)
                target.chmod(member.mode)
            elif member.issym():
                target.symlink_to(member.linkname)
            elif member.islnk():
                linked = _merged(posixpath.normpath(f"/{member.linkname}").lstrip("/"))
                os.link(self._target(linked), target, follow_symlinks=False)
            else:
                raise tarfile.ExtractError(f"{path} is neither file, directory nor link")
            os.utime(target, (member.mtime, member.mtime), follow_symlinks=False)
        owner = Owner(member.uid, member.gid)
        if owner != ROOT:
            self.owners[path] = owner

    def _unpack_directory(self, path: str, member: tarfile.TarInfo) -> None:
        target = self.root / path
        if target.is_symlink():  # as dpkg: a directory of one package may be a link to one in another
            return
        target.mkdir(exist_ok=True)
        target.chmod(member.mode)
        self._directory_times[path] = member.mtime

    def _target(self, path: str) -> Path:
        """Where a file goes on the host, its directories made; no link in them leads out of the tree."""
        target = self.root / path
        if path:
            self._make_directories(target.parent)
            if not target.parent.resolve().is_relative_to(self.root.resolve()):
                raise tarfile.ExtractError(f"{path} would be outside the root file system")
        return target

    def _make_directories(self, directory: Path) -> None:
        if not directory.exists():
            self._make_directories(directory.parent)
            directory.mkdir()
            directory.chmod(0o755)  # whatever the umask is

    def _write(self, path: str, contents: bytes, mode: int) -> None:
        target = self._make_room(path)
        target.write_bytes(contents)
        target.chmod(mode)

    def _make_room(self, path: str) -> Path:
        """Remove what a package has put where a file of ours goes."""
        target = self._target(path)
        if target.is_dir() and not target.is_symlink():
            target.rmdir()
        else:
            target.unlink(missing_ok=True)
        return target


def _merged(path: str) -> str:
    first = path.partition("/")[0]
    return f"usr/{path}" if first in _MERGED else path


def tree_size(root: Path) -> int:
    """Bytes of disk that a tree takes in blocks of 4 KiB, one more for each file's metadata."""
    total = 0
    for directory, directories, names in os.walk(root):
        for name in (*directories, *names):
            status = os.lstat(os.path.join(directory, name))
            total += 4096
            if stat.S_ISREG(status.st_mode):
                total += -(-status.st_size // 4096) * 4096
    return total
