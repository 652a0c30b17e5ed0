"""qcow2 images, made by QEMU's own tool."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.drive import Drive, SharingMode

CONTENTS = bytes(1 << 16) + os.urandom(1 << 16) + bytes(1 << 20)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dbt-disco" / "disks"


@pytest.fixture
def qemu_img(program: Callable[[str], str]) -> Callable[..., None]:
    path = program("qemu-img")

    def run(*words: object) -> None:
        subprocess.run([path, *map(str, words)], check=True, capture_output=True)

    return run


@pytest.fixture
def image(tmp_path: Path, qemu_img: Callable[..., None]) -> Path:
    raw = tmp_path / "raw"
    raw.write_bytes(CONTENTS)
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", raw, tmp_path / "image.qcow2")
    return tmp_path / "image.qcow2"


def contents(drive: Drive) -> bytes:
    disk = drive.open("test")
    data = disk.read(0, disk.sector_count)
    disk.close()
    return data


def test_it_is_read_and_never_written(image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    assert contents(Drive(image)) == CONTENTS
    drive = Drive(image, SharingMode.OVERLAY, tmp_path / "overlay")
    disk = drive.open("test")
    disk.write(0, b"x" * SECTOR_SIZE)
    disk.close()
    assert contents(drive) == b"x" * SECTOR_SIZE + CONTENTS[SECTOR_SIZE:]
    assert image.read_bytes() == before


def test_it_is_converted_again_only_when_it_has_changed(
    image: Path, cache: Path, qemu_img: Callable[..., None], tmp_path: Path
) -> None:
    contents(Drive(image))
    (copy,) = cache.iterdir()
    time = copy.stat().st_mtime_ns
    contents(Drive(image))
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [time]
    (tmp_path / "raw").write_bytes(CONTENTS[::-1])
    qemu_img("convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", image)
    assert contents(Drive(image)) == CONTENTS[::-1]
    assert len(list(cache.iterdir())) == 1


def test_files_behind_it_are_used_only_if_trusted(
    image: Path, qemu_img: Callable[..., None], tmp_path: Path
) -> None:
    """A guest with a raw disk of its own could write such a header, and so read any file of the host's."""
    top = tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", top)
    with pytest.raises(DiskError, match=r"uses .*image\.qcow2; say format=qcow2"):
        Drive(top).open("test")
    assert contents(Drive(top, format="qcow2")) == CONTENTS
    (tmp_path / "raw").write_bytes(CONTENTS[::-1])
    qemu_img("convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", image)
    assert contents(Drive(top, format="qcow2")) == CONTENTS[::-1]


def test_an_image_that_was_cut_off_is_not_taken_for_zeros(
    image: Path, qemu_img: Callable[..., None], tmp_path: Path
) -> None:
    """Not even where it is behind another one."""
    top = tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", top)
    os.truncate(image, 3000)
    for drive in (Drive(image), Drive(top, format="qcow2")):
        with pytest.raises(DiskError, match=r"image\.qcow2: .*the image is damaged"):
            drive.open("test")


def test_errors(image: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    with pytest.raises(DiskError, match="mode=exclusive needs a raw image"):
        Drive(image, SharingMode.EXCLUSIVE).open("test")
    assert len(contents(Drive(image, format="raw", read_only=True))) == image.stat().st_size
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(DiskError) as raised:
        Drive(image).open("test")
    assert str(raised.value).startswith(f"{image}: ") and "\n" not in str(raised.value)
    assert not cache.exists() or not list(cache.iterdir())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DiskError, match="needs qemu-img; install it"):
        Drive(image).open("test")
