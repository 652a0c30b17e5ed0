"""The global disk cache: what it gives virtual machines is what the files hold, and exists once."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks import sector_cache
from dbt_disco.disks.block_backend import SECTOR_SIZE, Delivery
from dbt_disco.disks.cached_image import CachedImage, DeliveredSectors
from dbt_disco.disks.drive import Drive, SharingMode
from dbt_disco.disks.modified_disk import ModifiedDisk
from dbt_disco.disks.sector_cache import SectorCache
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.auditor import Tenant, audit
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import NotMemory, PhysicalMemory

PAGE = MACHINE_PAGE_SIZE
PAGES = 256
"""Of the machine."""
DISK_PAGES = 160
SECTORS = DISK_PAGES * 8 + 3
"""Of the disk: its end is no page."""
MEMORY_PAGES = 96
TIMEOUT = 200
PROMPT = "root@debian:~# "


class Stage:
    """A machine, a cache, and virtual machines that are nothing but memories and disks."""

    def __init__(self, image: Path) -> None:
        self.image = image
        self.machine = MachineMemory(PAGES * PAGE, 2)
        self.cache = SectorCache(self.machine)
        self.memories: list[PhysicalMemory] = []
        self.disks: list[ModifiedDisk] = []

    def guest(self, drive: Drive | None = None) -> tuple[PhysicalMemory, ModifiedDisk, Delivery]:
        """One more virtual machine."""
        memory = PhysicalMemory(self.machine, [(0, MEMORY_PAGES * PAGE)])
        disk = (drive or Drive(self.image)).open(f"vm{len(self.disks)}", self.cache)
        assert isinstance(disk, ModifiedDisk)
        deliver = disk.delivery(memory)
        assert deliver is not None
        self.memories.append(memory)
        self.disks.append(disk)
        return memory, disk, deliver

    def audit(self) -> None:
        audit(self.machine, [Tenant(memory) for memory in self.memories], self.cache.held())

    def close(self) -> None:
        for memory, disk in zip(self.memories, self.disks, strict=True):
            disk.close()
            memory.close()
        self.memories.clear()
        self.audit()
        assert self.machine.allocated == sum(file.pages for file in self.cache.files())
        self.machine.close()


@pytest.fixture
def contents() -> bytes:
    return random.Random(4).randbytes(SECTORS * SECTOR_SIZE)


@pytest.fixture
def stage(tmp_path: Path, contents: bytes) -> Iterator[Stage]:
    image = tmp_path / "image"
    image.write_bytes(contents)
    stage = Stage(image)
    yield stage
    stage.close()


def delivered(disk: ModifiedDisk) -> DeliveredSectors:
    assert isinstance(disk.base, CachedImage)
    return disk.base.delivered


def part(contents: bytes, sector: int, count: int) -> bytes:
    return contents[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE]


def test_whole_pages_are_mapped_and_exist_once(stage: Stage, contents: bytes) -> None:
    guests = [stage.guest() for _ in range(3)]
    for number, (memory, disk, deliver) in enumerate(guests):
        # Whatever the size and the number of the requests.
        for first in range(0, 64, 1 << 2 * number):
            deliver(8 * first, [(first * PAGE, PAGE << 2 * number)])
        assert memory.read(0, 64 * PAGE) == part(contents, 0, 512)
        assert (delivered(disk).mapped, delivered(disk).copied) == (512, 0)
        assert memory.copied == 0
    assert stage.machine.allocated == 64
    (file,) = stage.cache.files()
    assert (file.hits, file.misses, file.pages) == (128, 64, 64)
    stage.audit()


def test_every_alignment(stage: Stage, contents: bytes) -> None:
    memory, _, deliver = stage.guest()
    for offset, sector, count in product((0, 1, 512, 1536, 4095), (0, 1, 8, 63, 71), (1, 7, 8, 9, 64, 229)):
        length = count * SECTOR_SIZE
        memory.write(0, b"\xee" * MEMORY_PAGES * PAGE)
        for _ in range(2):
            deliver(sector, [(3 * PAGE + offset, length)])
            assert memory.read(3 * PAGE + offset, length) == part(contents, sector, count)
            assert memory.read(0, 3 * PAGE + offset) == b"\xee" * (3 * PAGE + offset)
            assert memory.read(3 * PAGE + offset + length, 2 * PAGE) == b"\xee" * 2 * PAGE
    stage.audit()


def test_a_partition_may_begin_at_any_sector(stage: Stage, contents: bytes) -> None:
    for _ in range(2):
        memory, disk, deliver = stage.guest()
        deliver(63, [(0, 16 * PAGE), (20 * PAGE, 16 * PAGE)])
        assert memory.read(0, 16 * PAGE) == part(contents, 63, 128)
        assert memory.read(20 * PAGE, 16 * PAGE) == part(contents, 63 + 128, 128)
        assert delivered(disk) == DeliveredSectors(256, 0)
    assert stage.machine.allocated == 32
    stage.audit()


def test_the_end_of_a_disk_is_no_page(stage: Stage, contents: bytes) -> None:
    memory, disk, deliver = stage.guest()
    deliver(SECTORS - 11, [(0, 11 * SECTOR_SIZE)])
    assert memory.read(0, 11 * SECTOR_SIZE) == part(contents, SECTORS - 11, 11)
    assert delivered(disk) == DeliveredSectors(8, 3)
    assert disk.read(SECTORS - 20, 20) == part(contents, SECTORS - 20, 20)
    stage.audit()


def test_modified_sectors_come_from_their_own_virtual_machine(stage: Stage, contents: bytes) -> None:
    (memory, disk, deliver), (other, _, deliver_other) = stage.guest(), stage.guest()
    disk.write(11, b"\1" * 2 * SECTOR_SIZE)
    disk.discard(24, 8)
    expected = bytearray(contents)
    expected[11 * SECTOR_SIZE : 13 * SECTOR_SIZE] = b"\1" * 2 * SECTOR_SIZE
    expected[24 * SECTOR_SIZE : 32 * SECTOR_SIZE] = bytes(PAGE)
    for _ in range(2):
        for buffers in ([(0, 8 * PAGE)], [(0, 3 * PAGE), (3 * PAGE, 512), (3 * PAGE + 512, 5 * PAGE - 512)]):
            deliver(0, buffers)
            assert memory.read(0, 8 * PAGE) == part(expected, 0, 64)
            deliver_other(0, buffers)
            assert other.read(0, 8 * PAGE) == part(contents, 0, 64)
    stage.audit()


def test_stores_to_mapped_pages_stay_private(stage: Stage, contents: bytes) -> None:
    (memory, _, deliver), (other, _, deliver_other) = stage.guest(), stage.guest()
    deliver(0, [(0, 8 * PAGE)])
    deliver_other(0, [(PAGE, 8 * PAGE)])
    memory.write(2 * PAGE + 7, b"mine")
    assert other.read(PAGE, 8 * PAGE) == part(contents, 0, 64)
    stage.audit()
    deliver(16, [(2 * PAGE, PAGE)])
    assert memory.read(2 * PAGE, PAGE) == part(contents, 16, 8)
    assert stage.machine.allocated == 8
    stage.audit()


def test_overlays_share_their_base(stage: Stage, contents: bytes, tmp_path: Path) -> None:
    for number in range(2):
        drive = Drive(stage.image, SharingMode.OVERLAY, tmp_path / f"overlay{number}")
        memory, disk, deliver = stage.guest(drive)
        disk.write(8 * number, bytes([number + 1]) * PAGE)
        deliver(0, [(0, 4 * PAGE)])
        expected = bytearray(part(contents, 0, 32))
        expected[number * PAGE : (number + 1) * PAGE] = bytes([number + 1]) * PAGE
        assert memory.read(0, 4 * PAGE) == expected
    assert (
        sum(file.pages for file in stage.cache.files()) == 16
    )  # what tells one base from another is read, too
    stage.audit()


def test_an_exclusive_disk_has_no_part_in_it(stage: Stage, tmp_path: Path) -> None:
    memory = PhysicalMemory(stage.machine, [(0, PAGE)])
    disk = Drive(stage.image, SharingMode.EXCLUSIVE).open("vm", stage.cache)
    assert disk.delivery(memory) is None
    disk.close()
    memory.close()


def test_what_has_not_been_used_longest_is_given_up_first(stage: Stage) -> None:
    memory, disk, deliver = stage.guest()
    for first in (64, 0, 128):
        disk.read(8 * first, 8 * 32)
    disk.read(8 * 64, 8)
    deliver(8 * 16, [(0, 16 * PAGE)])  # these are in use
    disk.read(8 * 64, 8)
    greedy = PhysicalMemory(stage.machine, [(0, PAGES * PAGE)])
    stage.memories.append(greedy)
    (file,) = stage.cache.files()
    entries = file.entries(0)

    def cached() -> list[int]:
        return [sum(map(bool, entries[first : first + 32])) for first in (0, 64, 128)]

    assert cached() == [32, 32, 32]
    stage.machine.reclaim = lambda wanted: reclaim(1)
    reclaim = stage.cache._reclaim
    seen = []
    frame = 0
    while cached() != [16, 0, 0]:
        greedy.touch(frame)
        frame += 1
        if not seen or seen[-1] != cached():
            seen.append(cached())
    assert seen == [[32, 32, 32], [32, 32, 0], [16, 32, 0], [16, 0, 0]]
    assert memory.read(0, 16 * PAGE) == disk.read(8 * 16, 8 * 16)
    stage.audit()
    stage.memories.remove(greedy)
    greedy.close()


def test_the_books_are_right_while_pages_are_being_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's lock is not held meanwhile, so that an audit may come at any time."""
    _, disk, _ = stage.guest()
    read = sector_cache.read_exactly
    audits = 0

    def read_slowly(descriptor: int, buffers: list[Any], offset: int, length: int) -> None:
        nonlocal audits
        stage.audit()
        read(descriptor, buffers, offset, length)
        audits += 1

    monkeypatch.setattr(sector_cache, "read_exactly", read_slowly)
    disk.read(0, 8 * 32)
    assert audits > 0
    stage.audit()


def test_a_full_machine_still_reads(stage: Stage, contents: bytes) -> None:
    """What cannot be cached is copied to the pages that the virtual machine has."""
    memory, disk, deliver = stage.guest()
    memory.write(0, b"\1" * MEMORY_PAGES * PAGE)
    taken = [stage.machine.allocate() for _ in range(PAGES - MEMORY_PAGES)]
    deliver(0, [(0, 64 * PAGE)])
    assert memory.read(0, 64 * PAGE) == part(contents, 0, 512)
    assert delivered(disk) == DeliveredSectors(0, 512)
    for page in taken:
        stage.machine.release(page)
    deliver(0, [(0, 64 * PAGE)])
    assert memory.read(0, 64 * PAGE) == part(contents, 0, 512)
    assert delivered(disk).mapped == 512
    stage.audit()


def test_a_damaged_image(stage: Stage, contents: bytes) -> None:
    memory, _, deliver = stage.guest()
    deliver(0, [(0, 4 * PAGE)])
    os.truncate(stage.image, 8 * PAGE)
    with pytest.raises(OSError, match="has become shorter"):
        deliver(0, [(8 * PAGE, 16 * PAGE)])
    assert memory.read(0, 4 * PAGE) == part(contents, 0, 32)
    stage.audit()


def test_what_is_no_memory(stage: Stage, contents: bytes) -> None:
    memory, _, deliver = stage.guest()
    for buffers in (
        [((MEMORY_PAGES - 2) * PAGE, 4 * PAGE)],
        [(1 << 31, PAGE)],
        [((1 << 32) - PAGE, 2 * PAGE)],
        [(1 << 45, PAGE)],
    ):
        with pytest.raises(NotMemory):
            deliver(0, buffers)
    assert memory.read((MEMORY_PAGES - 2) * PAGE, 2 * PAGE) == bytes(2 * PAGE)
    stage.audit()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"\7" * SECTORS * SECTOR_SIZE),
        lambda path: (
            path.with_suffix(".new").write_bytes(b"\7" * SECTORS * SECTOR_SIZE)
            and os.replace(path.with_suffix(".new"), path)
        ),
    ],
    ids=["in place", "replaced"],
)
def test_a_file_that_has_changed_is_read_again(
    stage: Stage, contents: bytes, change: Callable[[Path], object]
) -> None:
    memory, disk, deliver = stage.guest()
    deliver(0, [(0, 4 * PAGE)])
    disk.close()
    change(stage.image)
    os.utime(stage.image, ns=(1, 1))
    again, _, deliver_again = stage.guest()
    deliver_again(0, [(0, 4 * PAGE)])
    assert again.read(0, 4 * PAGE) == b"\7" * 4 * PAGE
    assert memory.read(0, 4 * PAGE) == part(contents, 0, 32)
    stage.audit()
    stage.disks[0] = stage.disks.pop()
    stage.memories.remove(memory)
    memory.close()


def test_the_stock_debian_guest_takes_the_mapping_path(debian: GuestFiles) -> None:
    """Its file reads are mapped, and a second guest reads nothing from the image that the first one has read."""
    machine = Machine(300 << 20, nodes=2)
    configuration = Configuration(
        debian.kernel,
        debian.initramfs,
        f"{DEBIAN_COMMAND_LINE} quiet",
        memory_size=128 << 20,
        drives=(Drive(debian.root_disk),),
    )
    assert machine.cache is not None
    sums = []
    missed = 0
    guests: list[RunningVirtualMachine] = []
    for _ in range(2):
        guest = RunningVirtualMachine(configuration, machine=machine)
        guest.start()
        guest.console.wait_for(PROMPT, TIMEOUT)
        guest.console.send("cat /usr/lib/python3*/*.py /usr/bin/p* | sha256sum\n")
        sums.append(guest.console.wait_for(PROMPT, TIMEOUT).split("sha256sum")[-1])
        guests.append(guest)
        disk = guest.virtual_machine.disks[0]
        assert isinstance(disk, ModifiedDisk)
        counts = delivered(disk)
        assert counts.mapped > 10_000_000 // SECTOR_SIZE
        assert counts.mapped > 0.98 * (counts.mapped + counts.copied)
        before, missed = missed, sum(file.misses for file in machine.cache.files())
    assert sums[0] == sums[1]
    assert missed < before * 1.02
    for guest in guests:
        guest.stop()
    machine.audit(guest.virtual_machine for guest in guests)
    for guest in guests:
        guest.close()
    machine.audit([])
    machine.close()
