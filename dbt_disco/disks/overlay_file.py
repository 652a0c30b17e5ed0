"""The file that keeps a virtual machine's changes of a base image (mode `overlay`): an SQLite database.

Everything between two flushes is one transaction in SQLite's write-ahead log. Whenever and however the monitor ends,
the next one finds the disk as it was at the last flush that had returned.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dbt_disco.disks.cached_image import CachedImage
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.image_lock import lock_image, unlock_image
from dbt_disco.disks.modified_disk import ModifiedDisk
from dbt_disco.disks.raw_image import RawImage
from dbt_disco.disks.sector_map import Extent, SectorMap

_APPLICATION: Final = 0x64627464
"""Marks the database as ours (`PRAGMA application_id`): "dbtd"."""
_VERSION: Final = 1
_IDENTIFYING_SECTORS: Final = 128
"""So many sectors at its start tell one base image from others: they hold file systems' identifiers."""

_SCHEMA: Final = """
    CREATE TABLE base (sector_count INTEGER NOT NULL, digest BLOB NOT NULL);
    CREATE TABLE extent (start INTEGER PRIMARY KEY, "end" INTEGER NOT NULL, data BLOB);
"""


class OverlayDisk(ModifiedDisk):
    """A base image with changes on top that are kept in a file."""

    def __init__(
        self,
        base: RawImage | CachedImage,
        path: Path,
        holder: str,
        serial: bytes = b"",
        *,
        read_only: bool = False,
    ) -> None:
        """Open the overlay `path`, or create it for `base`.

        Raises DiskError if the file is no overlay, one of another base image, in use, or cannot be written.
        """
        self._file = _OverlayFile(path, base, holder)
        super().__init__(base, serial, SectorMap(self._file))
        self.read_only = read_only

    def flush(self) -> None:
        """See `BlockBackend`."""
        self._file.commit()

    def close(self) -> None:
        """Keep everything written, and let others use the files; nothing else may be called afterwards."""
        try:
            self._file.close()
        finally:
            super().close()


class _OverlayFile:
    """The database; an `ExtentStore`."""

    def __init__(self, path: Path, base: RawImage | CachedImage, holder: str) -> None:
        self._path = path
        # The descriptor carries our lock. SQLite's own locks end when it is closed, so that it outlives SQLite's.
        self._descriptor = _open_locked(path, holder)
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._open(base)
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            unlock_image(self._descriptor)
            raise DiskError(f"{path}: not an overlay that can be used: {error}") from error
        except BaseException:
            unlock_image(self._descriptor)
            raise

    def overlapping(self, start: int, end: int) -> list[Extent]:
        """See `ExtentStore`."""
        with self._host_errors():
            before = self._database.execute(
                "SELECT * FROM extent WHERE start < ? ORDER BY start DESC LIMIT 1", (start,)
            ).fetchall()
            within = self._database.execute(
                "SELECT * FROM extent WHERE start >= ? AND start < ? ORDER BY start",
                (start, end),
            ).fetchall()
        return [extent for row in before + within if (extent := Extent(*row)).end > start]

    def insert(self, extent: Extent) -> None:
        """See `ExtentStore`."""
        self._change("INSERT INTO extent VALUES (?, ?, ?)", extent)

    def remove(self, start: int) -> None:
        """See `ExtentStore`."""
        self._change("DELETE FROM extent WHERE start = ?", (start,))

    def commit(self) -> None:
        """Return when all changes are on stable storage."""
        if self._database.in_transaction:
            with self._host_errors():
                self._database.execute("COMMIT")

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._database.close()
            unlock_image(self._descriptor)

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        with self._host_errors():
            if not self._database.in_transaction:
                self._database.execute("BEGIN")
            self._database.execute(statement, values)

    def _open(self, base: RawImage | CachedImage) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory beside the write-ahead log
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # a commit returns when the log is on stable storage
        identity = base.sector_count, _digest(base)
        if run("PRAGMA schema_version").fetchone() == (0,):
            self._database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION};"
            )
            run("INSERT INTO base VALUES (?, ?)", identity)
            run("COMMIT")
        elif run("PRAGMA application_id").fetchone() != (_APPLICATION,):
            raise DiskError(f"{self._path}: an SQLite database, but not an overlay")
        elif run("PRAGMA user_version").fetchone() != (_VERSION,):
            raise DiskError(f"{self._path}: an overlay of another version of dbt-disco")
        elif run("SELECT * FROM base").fetchall() != [identity]:
            raise DiskError(f"{self._path}: not an overlay of {base.path} as it is now")

    @contextmanager
    def _host_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(self._path)) from error


def _open_locked(path: Path, holder: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror}") from error
    try:
        lock_image(descriptor, path, holder, exclusive=True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _digest(base: RawImage | CachedImage) -> bytes:
    start = base.read(0, min(_IDENTIFYING_SECTORS, base.sector_count))
    return hashlib.blake2b(start, digest_size=16).digest()
