"""Reading a Debian binary package: an `ar` archive with two tar archives (deb(5)); no dpkg is needed."""

from __future__ import annotations

import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dbt_disco.debian.fetch_error import FetchError

_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER_SIZE: Final = 60
_AR_NAME: Final = slice(0, 16)
_AR_SIZE: Final = slice(48, 58)
_AR_END: Final = slice(58, 60)

DAMAGE: Final = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)
"""What Python's archive readers raise for a file that is cut short or not what it says."""


def data_archive(package: Path) -> tarfile.TarFile:
    """The files that a package installs. Raises FetchError naming the file if it is damaged."""
    try:
        contents = package.read_bytes()
    except OSError as error:
        raise FetchError(f"{package}: {error.strerror}") from error
    for name, data in _ar_members(package, contents):
        if name.startswith("data.tar"):
            try:
                return tarfile.open(fileobj=io.BytesIO(data), mode="r:*")
            except DAMAGE as error:
                raise damaged(package, f"{name} cannot be unpacked") from error
    raise damaged(package, "it has no data.tar")


def regular_files(package: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path (without a leading slash) and contents of the package's files whose path is `wanted`."""
    with data_archive(package) as archive:
        try:
            for member in archive:
                path = install_path(member)
                if member.isreg() and wanted(path):
                    file = archive.extractfile(member)
                    assert file is not None  # it is a regular file
                    yield path, file.read()
        except DAMAGE as error:
            raise damaged(package, "data.tar cannot be unpacked") from error


def install_path(member: tarfile.TarInfo) -> str:
    """Where a file goes, relative to the root: without the leading `./`; empty for the root itself."""
    return posixpath.normpath(f"/{member.name}").lstrip("/")


def damaged(package: Path, reason: str) -> FetchError:
    """The error to raise for a package that cannot be read."""
    return FetchError(f"{package}: damaged Debian package: {reason}; remove it and fetch it again")


def _ar_members(package: Path, contents: bytes) -> list[tuple[str, memoryview]]:
    """Name and contents of each member of an ar archive."""
    if not contents.startswith(_AR_MAGIC):
        raise damaged(package, "not an ar archive")
    members = []
    at = len(_AR_MAGIC)
    while at < len(contents):
        header = contents[at : at + _AR_HEADER_SIZE]
        size = header[_AR_SIZE].strip()
        if header[_AR_END] != b"`\n" or not size.isdigit():
            raise damaged(package, f"no ar header at byte {at}")
        at += _AR_HEADER_SIZE
        end = at + int(size)
        if end > len(contents):
            raise damaged(package, "it is cut short")
        members.append(
            (header[_AR_NAME].decode("ascii", "replace").rstrip(" /"), memoryview(contents)[at:end])
        )
        at = end + end % 2
    return members
