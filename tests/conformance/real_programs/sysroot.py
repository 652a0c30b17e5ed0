"""Debian's mipsel packages, unpacked into a directory that serves as `--sysroot` (and as QEMU's `-L`).

The host's apt downloads them, with a state directory of its own and for the foreign architecture, so that the
host's packages are neither consulted nor changed. The result is cached: `$XDG_CACHE_HOME/dbt-disco/sysroot`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    *("bash", "bc", "busybox", "bzip2", "coreutils", "dash", "diffutils", "gawk", "grep", "gzip", "jq"),
    *("lua5.4", "openssl", "perl", "python3.11", "sed", "sqlite3", "tar", "xz-utils"),
)
"""What the corpus runs; apt adds the libraries they depend on."""

NEEDED_TOOLS: Final = ("apt-get", "dpkg-deb")


class SysrootUnavailable(Exception):
    """The packages cannot be had on this machine; the message says why."""


def sysroot() -> Path:
    """The directory with the unpacked packages, downloaded on first use. Safe among concurrent processes.

    Raises SysrootUnavailable when a tool, the network or the architecture is missing.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "dbt-disco", "sysroot")
    base.mkdir(parents=True, exist_ok=True)
    unpacked = base / hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    with open(base / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not unpacked.exists():
            work = base / "unfinished"
            shutil.rmtree(work, ignore_errors=True)
            _download(work)
            _unpack(work)
            os.replace(work / "root", unpacked)
            shutil.rmtree(work)
    return unpacked


def _download(work: Path) -> None:
    for tool in NEEDED_TOOLS:
        if shutil.which(tool) is None:
            raise SysrootUnavailable(f"{tool} is not installed")
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    apt = [
        "apt-get",
        "-oAPT::Architecture=mipsel",
        "-oAPT::Architectures=mipsel",
        "-oAPT::Sandbox::User=",
        "-oDebug::NoLocking=true",
        "-oDir::State::status=/dev/null",
        f"-oDir::State::Lists={work / 'lists'}",
        f"-oDir::Cache={work}",
        "--quiet",
    ]
    _run([*apt, "update"])
    _run([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES])


def _unpack(work: Path) -> None:
    archives = sorted((work / "archives").glob("*.deb"))
    if not archives:
        raise SysrootUnavailable("apt-get downloaded no packages")
    for archive in archives:
        _run(["dpkg-deb", "--extract", str(archive), str(work / "root")])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise SysrootUnavailable(f"{command[0]} failed: {' '.join(last)}")
