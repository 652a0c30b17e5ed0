"""qcow2 images: converted to raw ones by qemu-img when they are opened, and cached.

The format is QEMU's (docs/interop/qcow2.txt there); of it we read only what tells one image from another.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from dbt_disco.disks.disk_error import DiskError
from runtime.disk_cache import cache_directory

_MAGIC: Final = b"QFI\xfb"
_TIMEOUT: Final = 3600
_LEAKS: Final = 3
"""Exit status of `qemu-img check` for clusters that nothing refers to, which does no harm."""


def is_qcow2(path: Path) -> bool:
    """Whether a file says that it is a qcow2 image. Raises DiskError if it cannot be read."""
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK
        )  # it may be a pipe, for which nobody is to wait
        try:
            return os.read(descriptor, len(_MAGIC)) == _MAGIC
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror}") from error


def raw_copy(path: Path, *, trusted: bool) -> Path:
    """A raw image with the contents of a qcow2 image, made unless an earlier one is still right.

    An image may name a backing file anywhere on the host, and a guest that writes its own raw image can make it look
    like such a one: that is followed only if `trusted`. Raises DiskError if that is so, or if qemu-img is missing or
    fails.
    """
    other = _other_file(path)
    if other and not trusted:
        raise DiskError(f"{path}: a qcow2 image that uses {other}; say format=qcow2 if that is meant to be")
    chain = _backing_chain(path) if other else [path]
    directory = cache_directory() / "disks"
    name = _digest(str(path.resolve()))
    copy = directory / f"{name}-{_digest(*map(_version, chain))}.raw"
    if not copy.exists():
        directory.mkdir(parents=True, exist_ok=True)
        for outdated in directory.glob(f"{name}-*.raw"):
            outdated.unlink(missing_ok=True)  # whoever has it open keeps it
        unfinished = directory / f"{name}.{os.getpid()}.unfinished"
        try:
            for image in filter(is_qcow2, chain):
                _check(image)
            _qemu_img(path, "convert", "-f", "qcow2", "-O", "raw", str(path), str(unfinished))
            os.replace(unfinished, copy)
        finally:
            unfinished.unlink(missing_ok=True)
    return copy


def _other_file(path: Path) -> str | None:
    """Another file that the image takes contents from."""
    image: dict[str, Any] = json.loads(_qemu_img(path, "info", "-f", "qcow2", "--output=json", str(path)))
    details = image.get("format-specific", {}).get("data", {})
    other: str | None = image.get("backing-filename") or details.get("data-file")
    return other


def _backing_chain(path: Path) -> list[Path]:
    """An image and the files behind it."""
    text = _qemu_img(path, "info", "-f", "qcow2", "--backing-chain", "--output=json", str(path))
    images: list[dict[str, Any]] = json.loads(text)
    names = [image["filename"] for image in images]
    names += [file for image in images if (file := image["format-specific"].get("data", {}).get("data-file"))]
    return [Path(name) for name in names]


def _check(path: Path) -> None:
    """Raises DiskError if the image is damaged: `convert` takes what is cut off for zeros."""
    try:
        _qemu_img(path, "check", "-q", "-f", "qcow2", str(path), accept=(0, _LEAKS))
    except DiskError as error:
        raise DiskError(f"{error}; the image is damaged, `qemu-img check` says more") from error


def _version(path: Path) -> str:
    status = os.stat(path)
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _digest(*words: str) -> str:
    return hashlib.blake2b("\n".join(words).encode(errors="surrogateescape"), digest_size=10).hexdigest()


def _qemu_img(image: Path, *words: str, accept: tuple[int, ...] = (0,)) -> str:
    program = shutil.which("qemu-img")
    if program is None:
        raise DiskError(f"{image}: a qcow2 image needs qemu-img; install it (Debian: qemu-utils)")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=_TIMEOUT)
    if done.returncode not in accept:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise DiskError(f"{image}: {reason}")
    return done.stdout
