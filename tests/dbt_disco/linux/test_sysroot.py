"""Paths within a sysroot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbt_disco.linux.sysroot import Sysroot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """/dir/file, and links to it of every kind."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_text("contents")
    for name, target in (
        ("absolute", "/dir/file"),
        ("relative", "dir/file"),
        ("chain", "/absolute"),
        ("dir/up", "../chain"),
        ("loop", "/loop"),
        ("outside", "/proc/version"),
    ):
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize("path", ["/dir/file", "/absolute", "/relative", "/chain", "/dir/up"])
def test_links_are_followed_within_the_sysroot(root: Path, path: str) -> None:
    found = Sysroot(os.fsencode(root)).resolve(path.encode(), follow=True)
    assert os.path.samefile(found, root / "dir/file")


@pytest.mark.parametrize("path", ["/absolute", "/chain", "/loop", "/dir"])
def test_a_link_itself_is_in_the_sysroot(root: Path, path: str) -> None:
    assert (
        Sysroot(os.fsencode(root)).resolve(path.encode(), follow=False) == os.fsencode(root) + path.encode()
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/proc/version", b"/proc/version"),
        (b"/outside", b"/proc/version"),
        (b"/no/such/file", b"/no/such/file"),
        (b"dir/file", b"dir/file"),
        (b"", b""),
        (b"/zero\0byte", b"/zero\0byte"),
        (b"/loop", b"/loop"),
    ],
)
def test_everything_else_is_the_hosts(root: Path, path: bytes, expected: bytes) -> None:
    assert Sysroot(os.fsencode(root)).resolve(path, follow=True) == expected


def test_programs(root: Path) -> None:
    sysroot = Sysroot(os.fsencode(root))
    assert sysroot.resolve_program(b"dir/file") == os.fsencode(root / "dir/file")
    assert sysroot.resolve_program(b"/chain") == os.fsencode(root / "dir/file")
    assert sysroot.resolve_program(b"none") == b"none"


def test_without_a_sysroot_paths_are_the_hosts() -> None:
    assert Sysroot(None).resolve(b"/dir/file", follow=True) == b"/dir/file"
