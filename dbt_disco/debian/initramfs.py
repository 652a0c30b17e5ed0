"""The initramfs: busybox, the drivers, and an `/init` that goes on to the root disk."""

from __future__ import annotations

import posixpath
import stat
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, Final

from dbt_disco.debian import deb_file
from dbt_disco.debian.cpio_archive import CpioWriter
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.scratch_directory import ScratchDirectory

BUSYBOX_PATH: Final = "bin/busybox"

DEVICE_NODES: Final = (("dev/console", 5, 1, 0o600), ("dev/null", 1, 3, 0o666))
"""What is needed before devtmpfs is mounted: path, major and minor number (Documentation/admin-guide/devices.txt)
and permissions."""

_DIRECTORIES: Final = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "root": 0o700, "tmp": 0o1777}
_APPLETS_TIMEOUT: Final = 120


def write_initramfs(output: BinaryIO, busybox_package: Path, modules: Mapping[str, bytes]) -> None:
    """Write an uncompressed cpio archive; `modules` are loaded in their order.

    Raises FetchError if the package is damaged or its busybox does not work.
    """
    busybox = _busybox(busybox_package)
    archive = CpioWriter(output)
    for path, mode in _DIRECTORIES.items():
        archive.directory(path, mode)
    for path, major, minor, mode in DEVICE_NODES:
        archive.character_device(path, major, minor, mode)
    archive.file(BUSYBOX_PATH, busybox, 0o755)
    for applet in _applets(busybox):
        if applet != BUSYBOX_PATH:
            archive.symbolic_link(applet, f"/{BUSYBOX_PATH}")
    for name, contents in modules.items():
        archive.file(f"lib/modules/{name}", contents)
    archive.file("lib/modules/order", "".join(f"{name}\n" for name in modules).encode())
    archive.file("init", (files(__package__) / "guest" / "initramfs-init").read_bytes(), 0o755)
    archive.close()


def _busybox(package: Path) -> bytes:
    for _, contents in deb_file.regular_files(
        package, lambda path: path in (BUSYBOX_PATH, f"usr/{BUSYBOX_PATH}")
    ):
        return contents
    raise deb_file.damaged(package, "it has no busybox")


def _applets(busybox: bytes) -> list[str]:
    """The paths of busybox's applets; the guest's busybox is asked itself, under our own translator."""
    with ScratchDirectory("dbt-disco-") as directory:
        program = Path(directory, posixpath.basename(BUSYBOX_PATH))
        program.write_bytes(busybox)
        program.chmod(stat.S_IRWXU)
        command = [sys.executable, "-m", "dbt_disco", "run", str(program), "--list-full"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_APPLETS_TIMEOUT)
    if done.returncode != 0 or not done.stdout:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FetchError(f"busybox does not tell its applets: {reason}")
    return done.stdout.split()
