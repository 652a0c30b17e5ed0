"""Every kind of disk against the simplest one there is: an array of bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.drive import Disk, Drive, SharingMode

SECTORS = 700
"""Several times the longest extent, so that writes are split."""
SECTOR = st.integers(0, SECTORS - 1)


def image_bytes(sectors: int = SECTORS) -> bytes:
    """Every sector differs from every other."""
    return b"".join(number.to_bytes(4, "little") * (SECTOR_SIZE // 4) for number in range(1, sectors + 1))


class DiskMachine(RuleBasedStateMachine):
    """Random reads, writes, discards and flushes."""

    mode = SharingMode.SHARED

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name)
        (path / "image").write_bytes(image_bytes())
        self.model = bytearray(image_bytes())
        overlay = path / "overlay" if self.mode is SharingMode.OVERLAY else None
        self.drive = Drive(path / "image", self.mode, overlay)
        self.disk: Disk = self.drive.open("test")
        self.written = 0

    @rule(sector=SECTOR, count=st.one_of(st.integers(1, 12), st.integers(1, SECTORS)))
    def write(self, sector: int, count: int) -> None:
        count = min(count, SECTORS - sector)
        self.written += 1
        data = b"".join(
            (self.written << 16 | number).to_bytes(8, "big") * (SECTOR_SIZE // 8) for number in range(count)
        )
        self.disk.write(sector, data)
        self.model[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE] = data

    @rule(sector=SECTOR, count=st.one_of(st.integers(1, 12), st.integers(1, SECTORS)))
    def discard(self, sector: int, count: int) -> None:
        count = min(count, SECTORS - sector)
        self.disk.discard(sector, count)
        self.model[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE] = bytes(count * SECTOR_SIZE)

    @rule(sector=SECTOR, count=st.integers(1, SECTORS))
    def read(self, sector: int, count: int) -> None:
        count = min(count, SECTORS - sector)
        assert (
            self.disk.read(sector, count) == self.model[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE]
        )

    @rule()
    def flush(self) -> None:
        self.disk.flush()

    @rule()
    def reopen(self) -> None:
        """The virtual machine ends, and another one is started."""
        self.disk.close()
        self.disk = self.drive.open("test")
        if self.mode is SharingMode.SHARED:
            self.model = bytearray(image_bytes())

    @invariant()
    def whole(self) -> None:
        assert self.disk.read(0, SECTORS) == self.model

    def teardown(self) -> None:
        self.disk.close()
        image = Path(self.directory.name, "image").read_bytes()
        assert image == (self.model if self.mode is SharingMode.EXCLUSIVE else image_bytes())
        self.directory.cleanup()


class OverlayMachine(DiskMachine):
    mode = SharingMode.OVERLAY


class ExclusiveMachine(DiskMachine):
    mode = SharingMode.EXCLUSIVE


_SETTINGS = settings(max_examples=30, stateful_step_count=30, deadline=None)


class TestShared(DiskMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = _SETTINGS


class TestOverlay(OverlayMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = _SETTINGS


class TestExclusive(ExclusiveMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = _SETTINGS


@pytest.mark.parametrize("mode", SharingMode)
def test_a_read_only_drive_is_said_to_be(mode: SharingMode, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(image_bytes(3))
    overlay = tmp_path / "overlay" if mode is SharingMode.OVERLAY else None
    for read_only in (False, True):
        disk = Drive(tmp_path / "image", mode, overlay, serial=b"D1", read_only=read_only).open("test")
        assert (disk.read_only, disk.sector_count, disk.serial) == (read_only, 3, b"D1")
        disk.close()


def test_shared_disks_do_not_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(image_bytes(8))
    first, second = (Drive(tmp_path / "image").open(name) for name in ("first", "second"))
    first.write(2, b"1" * SECTOR_SIZE)
    second.discard(2, 2)
    assert (
        first.read(1, 3)
        == image_bytes(2)[SECTOR_SIZE:] + b"1" * SECTOR_SIZE + image_bytes(4)[3 * SECTOR_SIZE :]
    )
    assert second.read(2, 2) == bytes(2 * SECTOR_SIZE)
    first.close()
    second.close()


def test_discarded_sectors_take_no_space_on_the_host(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes([1]) * (1 << 20))
    before = image.stat().st_blocks
    disk = Drive(image, SharingMode.EXCLUSIVE).open("test")
    disk.discard(0, 2048)
    disk.close()
    if before == 0:
        pytest.skip("this file system does not tell how much space a file takes")
    assert image.stat().st_blocks < before / 2
    assert image.stat().st_size == 1 << 20
