"""Disks for Debian guests: those that hold a script for `dbt.run=`, and those with a file system of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Final

_SECTOR_SIZE: Final = 512
_MEGABYTE: Final = 1 << 20
_BLOCK_SIZE: Final = 4096

Program = Callable[[str], str]


def write_script(path: Path, text: str) -> Path:
    """A disk that holds a shell script."""
    data = dedent(text).encode()
    path.write_bytes(data + b"\n" * (-len(data) % _SECTOR_SIZE))
    return path


def make_file_system(path: Path, program: Program, megabytes: int, tree: Path | None = None) -> Path:
    """A disk with an ext4 file system, holding a directory's files, or nothing."""
    with open(path, "wb") as file:
        file.truncate(megabytes * _MEGABYTE)
    contents = [] if tree is None else ["-d", str(tree)]
    subprocess.run(
        [program("mke2fs"), "-q", "-t", "ext4", "-b", str(_BLOCK_SIZE), *contents, str(path)], check=True
    )
    return path


def assert_clean(image: Path, program: Program) -> None:
    """e2fsck looks at everything and finds nothing to repair."""
    done = subprocess.run([program("e2fsck"), "-f", "-n", str(image)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
