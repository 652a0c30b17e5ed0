"""Debian's mipsel packages, unpacked into a directory that serves as `--sysroot` (and as QEMU's `-L`).

The host's apt downloads them, with a state directory of its own and for the foreign architecture, so that the
host's packages are neither consulted nor changed. The result is cached: `$XDG_CACHE_HOME/dbt-disco/sysroot`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from dbt_disco.debian.apt import KEYRING, Apt, ArchiveSource, host_mirror
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.packages import ARCHITECTURE, SUITE
from dbt_disco.debian.root_file_system import RootFileSystem
from runtime.disk_cache import cache_directory

PACKAGES: Final = (
    *("bash", "bc", "busybox", "bzip2", "coreutils", "dash", "diffutils", "gawk", "grep", "gzip", "jq"),
    *("lua5.4", "openssl", "perl", "python3.11", "sed", "sqlite3", "tar", "xz-utils"),
)
"""What the corpus runs; apt adds the libraries they depend on."""


class SysrootUnavailable(Exception):
    """The packages cannot be had on this machine; the message says why."""


def sysroot() -> Path:
    """The directory with the unpacked packages, downloaded on first use. Safe among concurrent processes.

    Raises SysrootUnavailable when a tool, the network or the architecture is missing.
    """
    base = cache_directory() / "sysroot"
    base.mkdir(parents=True, exist_ok=True)
    unpacked = base / hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    with open(base / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not unpacked.exists():
            work = base / "unfinished"
            shutil.rmtree(work, ignore_errors=True)
            RootFileSystem(work / "root").unpack(_download(work), lambda fraction: None)
            os.replace(work / "root", unpacked)
            shutil.rmtree(work)
    return unpacked


def _download(work: Path) -> list[Path]:
    mirror = host_mirror()
    if mirror is None:
        raise SysrootUnavailable("this host's apt knows no Debian mirror")
    archives = work / "archives"
    try:
        apt = Apt(work / "apt", ArchiveSource(mirror, SUITE, KEYRING, ARCHITECTURE))
        apt.update(lambda fraction: None)
        apt.download(PACKAGES, archives, lambda fraction: None)
    except FetchError as error:
        raise SysrootUnavailable(str(error)) from error
    return sorted(archives.glob("*.deb"))
