"""The overlay file: whose it is, and what survives the monitor."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.drive import Disk, Drive, SharingMode, parse_drive

SECTORS = 2048
WRITES_PER_FLUSH = 20

WRITER = """
import sys
from dbt_disco.disks.drive import parse_drive
from tests.dbt_disco.disks.test_overlay import write_round
disk = parse_drive(sys.argv[1]).open("writer")
for number in range(int(sys.argv[2]), 1 << 30):
    write_round(disk, number)
    disk.flush()
    print(number, flush=True)
"""
"""Writes round after round, and tells of each when its flush has returned."""


def changes(number: int) -> Iterable[tuple[int, bytes | None]]:
    """The writes (None: discards of 8 sectors) of a round: from its number alone."""
    choices = random.Random(number)
    for write in range(WRITES_PER_FLUSH):
        sector = choices.randrange(SECTORS - 8)
        if choices.random() < 0.1:
            yield sector, None
        else:
            yield (
                sector,
                (number << 8 | write).to_bytes(8, "big") * (choices.randint(1, 8) * SECTOR_SIZE // 8),
            )


def write_round(disk: Disk, number: int) -> None:
    for sector, data in changes(number):
        if data is None:
            disk.discard(sector, 8)
        else:
            disk.write(sector, data)


def contents_after(rounds: int) -> bytes:
    """What a disk of zeros holds after all writes of the first rounds."""
    model = bytearray(SECTORS * SECTOR_SIZE)
    for number in range(rounds):
        for sector, data in changes(number):
            data = data or bytes(8 * SECTOR_SIZE)
            model[sector * SECTOR_SIZE : sector * SECTOR_SIZE + len(data)] = data
    return bytes(model)


def run_until_killed(drive: str, first: int, seconds: float) -> int:
    """Let a process write rounds from `first` on, kill it; returns the last round it has told of."""
    command = [sys.executable, "-c", WRITER, drive, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = int(writer.stdout.readline())
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
    return int(rest[-1]) if rest else last


def check_kills(drive: str, kills: Iterable[float], is_right: Callable[[bytes, int], bool]) -> None:
    done = 0
    for seconds in kills:
        done = run_until_killed(drive, done, seconds) + 1
        disk = parse_drive(drive).open("reader")
        contents = disk.read(0, SECTORS)
        assert is_right(contents, done), f"after {done} rounds"
        # The next writer begins with the round after: one that is kept without having been told of is its own.
        disk.close()


def is_a_flushed_state(contents: bytes, done: int) -> bool:
    """The disk is as at the last flush, or at the one that was under way."""
    return contents in (contents_after(done), contents_after(done + 1))


def keeps_what_was_flushed(contents: bytes, done: int) -> bool:
    """Sectors are as at the last flush, unless the round under way has written them (then old or new)."""
    before = contents_after(done)
    model = bytearray(before)
    under_way = set()
    for sector, data in changes(done):
        data = data or bytes(8 * SECTOR_SIZE)
        under_way.update(range(sector, sector + len(data) // SECTOR_SIZE))
        model[sector * SECTOR_SIZE : sector * SECTOR_SIZE + len(data)] = data
    different = {
        at // SECTOR_SIZE
        for at in range(0, len(before), SECTOR_SIZE)
        if contents[at : at + SECTOR_SIZE] != before[at : at + SECTOR_SIZE]
    }
    return different <= under_way


def kill_times(seed: int, count: int) -> list[float]:
    choices = random.Random(seed)
    return [choices.uniform(0, 0.3) for _ in range(count)]


@pytest.mark.parametrize("mode", ["overlay", "exclusive"])
def test_kill_in_the_middle_of_writes(mode: str, tmp_path: Path, first_seed: int) -> None:
    check_mode(mode, tmp_path, kill_times(first_seed, 4))


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["overlay", "exclusive"])
def test_many_kills(mode: str, tmp_path: Path, soak_seeds: Iterable[int]) -> None:
    for seed in soak_seeds:
        directory = tmp_path / str(seed)
        directory.mkdir()
        check_mode(mode, directory, kill_times(seed, 5))


def check_mode(mode: str, directory: Path, kills: list[float]) -> None:
    image = directory / "image"
    image.write_bytes(bytes(SECTORS * SECTOR_SIZE))
    if mode == "overlay":
        check_kills(f"file={image},mode=overlay:{directory / 'overlay'}", kills, is_a_flushed_state)
        assert not any(image.read_bytes())
    else:
        check_kills(f"file={image},mode=exclusive", kills, keeps_what_was_flushed)


def test_the_check_of_kills_can_fail() -> None:
    lost = bytearray(contents_after(3))
    at = next(at for at in range(0, len(lost), SECTOR_SIZE) if any(lost[at : at + SECTOR_SIZE]))
    lost[at : at + SECTOR_SIZE] = b"\xff" * SECTOR_SIZE
    assert is_a_flushed_state(contents_after(3), 3) and not is_a_flushed_state(bytes(lost), 3)
    assert keeps_what_was_flushed(contents_after(3), 3) and not keeps_what_was_flushed(contents_after(1), 3)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(SECTOR_SIZE) * 64)
    return path


def open_overlay(image: Path) -> Disk:
    return Drive(image, SharingMode.OVERLAY, image.with_name("overlay")).open("test")


def refusal(image: Path) -> str:
    with pytest.raises(DiskError) as raised:
        open_overlay(image)
    message = str(raised.value)
    assert "\n" not in message and message.startswith(f"{image.with_name('overlay')}: ")
    return message


def test_unflushed_writes_are_kept_when_the_disk_is_closed(image: Path) -> None:
    disk = open_overlay(image)
    disk.write(3, b"x" * SECTOR_SIZE)
    disk.close()
    assert sorted(path.name for path in image.parent.iterdir()) == ["image", "overlay"]
    disk = open_overlay(image)
    assert disk.read(3, 1) == b"x" * SECTOR_SIZE
    disk.close()


def test_a_read_only_drive_shows_what_the_overlay_holds(image: Path) -> None:
    disk = open_overlay(image)
    disk.write(3, b"x" * SECTOR_SIZE)
    disk.close()
    overlay = image.with_name("overlay")
    disk = Drive(image, SharingMode.OVERLAY, overlay, read_only=True).open("test")
    assert disk.read_only and disk.read(3, 1) == b"x" * SECTOR_SIZE
    disk.close()


def test_another_base_image_is_refused(image: Path) -> None:
    open_overlay(image).close()
    contents = image.read_bytes()
    image.write_bytes(contents[:-SECTOR_SIZE])
    assert "not an overlay of" in refusal(image)
    image.write_bytes(b"y" + contents[1:])
    assert "not an overlay of" in refusal(image)
    image.write_bytes(contents)
    open_overlay(image).close()


def test_a_file_that_is_no_overlay_is_refused_and_left_alone(image: Path) -> None:
    overlay = image.with_name("overlay")
    overlay.write_bytes(b"precious " * 1000)
    assert "not an overlay" in refusal(image)
    assert overlay.read_bytes() == b"precious " * 1000
    overlay.unlink()
    with sqlite3.connect(overlay) as database:
        database.execute("CREATE TABLE precious (x)")
    database.close()
    assert "an SQLite database, but not an overlay" in refusal(image)


def test_a_full_disk_is_an_io_error_of_that_request(image: Path) -> None:
    disk = open_overlay(image)
    disk.write(0, b"1" * SECTOR_SIZE)
    disk.flush()
    # Not more pages than there are: what SQLite says where the host's disk is full.
    disk._file._database.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="full"):
        for sector in range(1, 64):
            disk.write(sector, os.urandom(SECTOR_SIZE))
    assert disk.read(0, 1) == b"1" * SECTOR_SIZE
    disk.close()
