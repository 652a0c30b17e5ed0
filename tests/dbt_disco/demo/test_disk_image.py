"""The demo's disk, and what is computed for the kernel's report."""

from __future__ import annotations

import hashlib

import pytest

from dbt_disco.demo.disk_image import (
    PAGE_SIZE,
    SECTOR_SIZE,
    DiskFile,
    Volume,
    demo_volume,
    generated_file,
    generated_volume,
)
from dbt_disco.demo.expected_report import computed_words, done_line, report_of_all, written_sectors


def test_the_demo_disk_is_the_same_every_time() -> None:
    image = demo_volume().image()
    assert 8 << 20 <= len(image) <= 16 << 20
    assert hashlib.sha256(image).digest() == hashlib.sha256(demo_volume().image()).digest()
    assert len({file.contents for file in demo_volume().files}) == len(demo_volume().files)


def test_everything_begins_on_a_page() -> None:
    volume = generated_volume({"a": 1, "b": PAGE_SIZE, "c": PAGE_SIZE + 1}, 3)
    image = volume.image()
    assert len(image) == volume.pages * PAGE_SIZE == (2 + 1 + 1 + 2 + 3) * PAGE_SIZE
    pages = [image[at : at + PAGE_SIZE] for at in range(0, len(image), PAGE_SIZE)]
    assert pages[2] == volume.files[0].contents.ljust(PAGE_SIZE, b"\0")
    assert pages[3] == volume.files[1].contents
    assert pages[4] + pages[5] == volume.files[2].contents.ljust(2 * PAGE_SIZE, b"\0")
    assert volume.first_scratch_sector * SECTOR_SIZE == 6 * PAGE_SIZE


def test_contents_follow_from_the_name() -> None:
    assert generated_file("x", 10).contents == generated_file("x", 20).contents[:10]
    assert generated_file("x", 10).contents != generated_file("y", 10).contents


@pytest.mark.parametrize("name", ["", "n" * 48])
def test_names_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match="a file's name has 1 to 47 characters"):
        Volume((DiskFile(name, b""),), 0).image()


def test_too_many_files() -> None:
    files = tuple(DiskFile(f"file{number}", b"") for number in range(1025))
    with pytest.raises(ValueError, match="1025 files; the kernel takes 1024"):
        Volume(files, 0).image()


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 10])
def test_many_rounds_are_one_step(rounds: int) -> None:
    """A few words of it, round by round."""
    words = memoryview(computed_words(rounds)).cast("B")
    for index in (0, 1, 77, (1 << 18) - 1):
        value = index
        for _ in range(rounds):
            value = (value * 1_664_525 + 1_013_904_223) % (1 << 32)
        assert int.from_bytes(words[4 * index : 4 * index + 4], "little") == value


def test_sectors_written_differ() -> None:
    ann, bob = written_sectors(4, "ann"), written_sectors(4, "bob")
    sectors = {
        data[at : at + SECTOR_SIZE] for data in (ann, bob) for at in range(0, 4 * SECTOR_SIZE, SECTOR_SIZE)
    }
    assert len(sectors) == 8
    assert written_sectors(2, "ann") == ann[: 2 * SECTOR_SIZE]


def test_the_last_line_depends_on_all_others() -> None:
    report = report_of_all(generated_volume({"a": 5}, 8), "vm", sectors=8, rounds=1)
    assert report[-1] == done_line(report[:-1])
    assert len({done_line(report[:-1]), done_line(report[1:-1]), done_line(reversed(report[:-1]))}) == 3
