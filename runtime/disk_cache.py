"""Files that make the next run faster: native code and decoded words, keyed by all they depend on.

A damaged or foreign file is as good as none: every file starts with a digest of the rest. Writing is atomic, so
that concurrent processes never see half a file.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_DIGEST_SIZE: Final = 16
_KEY_SIZE: Final = 10
_NAME: Final = "dbt-disco"
_ENGINE_CODE: Final = ("*.o", "stencils-*", "decode-table-*")


def cache_directory(root: Path | None = None) -> Path:
    """Ours under `root`; None: under $XDG_CACHE_HOME, which counts only if it is absolute, or ~/.cache."""
    home = root or os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / _NAME


def engine_code(root: Path) -> list[Path]:
    """The engine's own code in the cache under `root`: interpreter, stencils and routines, nothing of any program."""
    return sorted(path for name in _ENGINE_CODE for path in cache_directory(root).glob(f"*/{name}"))


@cache
def generation_key() -> str:
    """Names this version of the translator on this host CPU: what is cached under another key is foreign."""
    import translator

    digest = hashlib.blake2b(digest_size=_KEY_SIZE)
    root = os.path.dirname(translator.__file__ or "")
    for directory in (root, *(os.path.join(root, name) for name in ("isa", "system"))):
        for file in sorted(os.scandir(directory), key=lambda item: item.name):
            if file.name.endswith(".py"):
                status = file.stat()
                digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    digest.update(_host_cpu())
    return digest.hexdigest()


def generations() -> list[Path]:
    """The directories of all generations in the cache directory, where other things may be too."""
    try:
        found = list(cache_directory().iterdir())
    except OSError:
        return []
    return sorted(path for path in found if _is_generation_key(path.name) and path.is_dir())


def _is_generation_key(name: str) -> bool:
    return len(name) == 2 * _KEY_SIZE and set(name) <= set("0123456789abcdef")


def _host_cpu() -> bytes:
    """What names the first host CPU and its features; the file is as long as the machine has CPUs."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            text = file.read(4096)
    except OSError:
        return os.uname().machine.encode()
    wanted = (b"model name", b"flags", b"CPU implementer", b"CPU part", b"Features")
    return b"\n".join(line for line in text.split(b"\n") if line.startswith(wanted))


class DiskCache:
    """Named byte strings under the cache directory; disabled (`enabled=False`) it holds nothing."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._directory = cache_directory() / generation_key()

    def load(self, name: str) -> bytes | None:
        """The contents stored under `name`; None if there are none that are intact."""
        if not self.enabled:
            return None
        try:
            data = (self._directory / name).read_bytes()
        except OSError:
            return None
        digest, contents = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
        return contents if digest == _digest(contents) else None

    def store(self, name: str, contents: bytes) -> None:
        """Keep `contents` for later runs. A cache that cannot be written is no error: it only costs speed."""
        if not self.enabled:
            return
        import tempfile  # late: a warm run stores nothing

        path = self._directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_digest(contents) + contents)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
        except OSError:
            return

    def remove(self, name: str) -> None:
        """Keep nothing under `name` any longer."""
        if self.enabled:
            with suppress(OSError):
                (self._directory / name).unlink(missing_ok=True)


def _digest(contents: bytes) -> bytes:
    return hashlib.blake2b(contents, digest_size=_DIGEST_SIZE).digest()
