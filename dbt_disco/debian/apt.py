"""Downloading with the host's own apt, for a foreign architecture and with a state of its own.

The host's packages, package lists and configuration files are neither consulted nor changed; no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbt_disco.debian.fetch_error import FetchError

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Where Debian's own package of keys has them, on Debian and on its derivatives."""

_SUITE_ALIASES: Final = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"})
_TIMEOUT: Final = 3600
"""Seconds that one apt command may take."""


@dataclass(frozen=True)
class ArchiveSource:
    """A suite of a package archive, and the keys that have signed it."""

    mirror: str
    """URL, as in a sources.list."""
    suite: str
    keyring: Path
    architecture: str

    def sources_line(self) -> str:
        """The source as a line of a sources.list."""
        return f"deb [arch={self.architecture} signed-by={self.keyring}] {self.mirror} {self.suite} main\n"


@dataclass(frozen=True)
class Package:
    """A package that apt would download."""

    file_name: str
    size: int
    """In bytes."""


def apt_is_installed() -> bool:
    """Whether the host has apt."""
    return shutil.which("apt-get") is not None and shutil.which("apt-cache") is not None


def host_mirror() -> str | None:
    """The URL of the Debian mirror in the host's sources; None unless the host is a Debian with one."""
    release = _os_release()
    if release.get("ID") != "debian" or not apt_is_installed():
        return None
    suites = _SUITE_ALIASES | {release.get("VERSION_CODENAME", "")}
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)"]
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        mirror, *rest = line.split(" ")
        if len(rest) == 3 and rest[0] in suites and rest[1:] == ["main", "Packages"]:
            return mirror
    return None


class Apt:
    """apt with its lists and its idea of what is installed in `state`, and one archive as its only source."""

    def __init__(self, state: Path, source: ArchiveSource, *, installed: Iterable[str] = ()) -> None:
        """`installed`: packages that apt shall believe to be there already, so that it leaves them out.

        Raises OSError if `state` cannot be written.
        """
        self._source = source
        for directory in (state / "lists" / "partial", state / "no-archives" / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        self._none_downloaded = state / "no-archives"
        (state / "sources.list").write_text(source.sources_line())
        (state / "status").write_text("".join(_installed(name) for name in installed))
        self._settings = [
            f"-oAPT::Architecture={source.architecture}",
            f"-oAPT::Architectures={source.architecture}",
            "-oAPT::Sandbox::User=",  # apt started by root: another user may not enter the directory
            "-oAPT::Install-Recommends=false",
            "-oAcquire::Languages=none",
            "-oAcquire::Retries=3",
            "-oAPT::Get::Assume-Yes=true",
            "-oDebug::NoLocking=true",
            f"-oDir::Etc::SourceList={state / 'sources.list'}",
            "-oDir::Etc::SourceParts=/dev/null",
            f"-oDir::State={state}",
            f"-oDir::State::Lists={state / 'lists'}",
            f"-oDir::State::Status={state / 'status'}",
            f"-oDir::Cache={state}",
        ]

    def update(self, progress: Callable[[float], None]) -> None:
        """Fetch the archive's package list. Raises FetchError if that fails or its signature is wrong."""
        self._run_with_progress(["update", "--error-on=any"], progress)

    def names(self, prefix: str) -> list[str]:
        """The names of all packages of the archive that begin with `prefix`."""
        return self._run("apt-cache", ["pkgnames", prefix]).split()

    def needed(self, packages: Iterable[str]) -> list[Package]:
        """`packages` and all they depend on. Raises FetchError if one does not exist or cannot be satisfied."""
        archives = f"-oDir::Cache::Archives={self._none_downloaded}"
        lines = self._run("apt-get", [archives, "install", "--print-uris", *packages]).splitlines()
        fields = [line.split() for line in lines if line.startswith("'")]
        return [Package(name, int(size)) for _, name, size, *_ in fields]

    def download(self, packages: Iterable[str], archives: Path, progress: Callable[[float], None]) -> None:
        """Put `packages` and all they depend on into `archives`; goes on where an earlier call was ended.

        Raises FetchError if apt fails, and if a file is not what the signed list says.
        """
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        setting = f"-oDir::Cache::Archives={archives}"
        self._run_with_progress([setting, "install", "--download-only", *packages], progress)

    def _run(self, program: str, words: list[str]) -> str:
        command = [program, *self._settings, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, env=_environment())
        if done.returncode != 0:
            raise FetchError(f"{program}: {_reason(done.stderr or done.stdout)}")
        return done.stdout

    def _run_with_progress(self, words: list[str], progress: Callable[[float], None]) -> None:
        """Run apt-get; `progress` is told the fraction done, from 0 to 1."""
        reading, writing = os.pipe()
        command = ["apt-get", *self._settings, f"-oAPT::Status-Fd={writing}", *words]
        with os.fdopen(reading) as status:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=(writing,),
                env=_environment(),
            )
            os.close(writing)
            try:
                for line in status:  # dlstatus:ITEM:PERCENT:WHAT
                    kind, _, rest = line.partition(":")
                    if kind == "dlstatus":
                        progress(float(rest.split(":")[1]) / 100)
                _, errors = process.communicate(timeout=_TIMEOUT)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode != 0:
            raise FetchError(f"apt-get: {_reason(errors)}")


def _os_release() -> dict[str, str]:
    import platform

    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _installed(name: str) -> str:
    """A paragraph of dpkg's status file for a package that no dependency finds too old."""
    fields = {"Package": name, "Status": "install ok installed", "Version": "999", "Architecture": "all"}
    return "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"


def _environment() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C"}


def _reason(output: str) -> str:
    """apt's errors in one line; its last line where it marks none as an error."""
    lines = output.strip().splitlines()
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    return "; ".join(errors) or (lines[-1] if lines else "failed without a message")
