"""The monitor is killed while Debian writes to a disk: what the guest had synced is there."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive, SharingMode
from tests.dbt_disco.commands.command import REPOSITORY, launcher
from tests.dbt_disco.virtual_machine.linux_disks import (
    Program,
    assert_clean,
    make_file_system,
    write_script,
)

MEGABYTES = 64
FILES = 24
SLOTS = 16
SLOT_SIZE = 12000

SCRIPT = f"""
    mount /dev/vdc /mnt && exec python3 - <<'END'
    import os

    def contents(number, size):
        return (b"%d." % number * size)[:size]

    def synced(path, flags, data, at=0):
        file = os.open(path, flags | os.O_CREAT, 0o600)
        done = os.pwrite(file, data, at) if at or not flags & os.O_APPEND else os.write(file, data)
        assert done == len(data)
        os.fsync(file)
        os.close(file)

    if not os.fork():  # somebody else's writes, which are never synced, but for the disk being shared
        for number in range(1 << 30):
            with open(f"/mnt/noise{{number % 7}}", "wb") as file:
                file.write(os.urandom(number * 7919 % 300000))
            if number % 5 == 4:
                os.unlink(f"/mnt/noise{{number % 7}}")
    directory = os.open("/mnt", os.O_RDONLY)
    try:
        with open("/mnt/log") as log:
            number = len(log.readlines())
    except FileNotFoundError:
        number = 0
    print("ready", number, flush=True)
    while True:
        synced("/mnt/new", os.O_WRONLY | os.O_TRUNC, contents(number, number * 997 % 60000 + 1))
        os.rename("/mnt/new", f"/mnt/file{{number % {FILES}}}")
        os.fsync(directory)
        synced("/mnt/slots", os.O_WRONLY, contents(number, {SLOT_SIZE}), number % {SLOTS} * {SLOT_SIZE})
        if number % 10 == 9:
            os.sync()
        synced("/mnt/log", os.O_WRONLY | os.O_APPEND, b"%d\\n" % number)
        print("synced", number, flush=True)
        number += 1
    END
"""


def contents(number: int, size: int) -> bytes:
    return (b"%d." % number * size)[:size]


def run_and_kill(words: list[object], dice: random.Random) -> tuple[int, int]:
    """Start a monitor and kill it while the guest writes: what the guest found synced, and what it has synced."""
    with subprocess.Popen(
        launcher("boot", "debian", *words), cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as monitor:
        assert monitor.stdout is not None
        found = last = -1
        patience = dice.randrange(3, 40)
        for line in monitor.stdout:
            what, _, number = line.decode(errors="replace").partition(" ")
            if what == "ready":
                found = last = int(number) - 1
            if what == "synced":
                last = int(number)
                patience -= 1
                if not patience:
                    time.sleep(dice.random() * 0.1)
                    monitor.kill()
        assert patience <= 0, "the guest has ended"
    return found, last


def copy_of(drive: Drive, path: Path) -> Path:
    """What the next virtual machine would find on a disk."""
    disk = drive.open("test")
    with open(path, "wb") as file:
        for sector in range(0, disk.sector_count, 2048):
            file.write(disk.read(sector, 2048))
    disk.close()
    return path


def replay_and_check(image: Path, program: Program) -> None:
    """Replay the journal; then there is nothing to repair."""
    replayed = subprocess.run(
        [program("e2fsck"), "-y", "-E", "journal_only", image], capture_output=True, text=True
    )
    assert replayed.returncode in (0, 1), replayed.stdout + replayed.stderr
    assert_clean(image, program)


def assert_all_there(image: Path, last: int, directory: Path, program: Program) -> None:
    """Everything synced up to number `last`; of what is beyond, the disk may have some."""
    directory.mkdir()
    subprocess.run([program("debugfs"), "-R", f"rdump / {directory}", image], check=True, capture_output=True)
    log = (directory / "log").read_text().splitlines()
    assert log == [str(number) for number in range(len(log))]
    assert len(log) - 1 in (last, last + 1)
    for number in range(max(0, last - FILES + 2), last + 1):  # but for the one that may be overwritten
        assert (directory / f"file{number % FILES}").read_bytes() == contents(
            number, number * 997 % 60000 + 1
        )
    slots = (directory / "slots").read_bytes()
    for number in range(max(0, last - SLOTS + 2), last + 1):
        at = number % SLOTS * SLOT_SIZE
        assert slots[at : at + SLOT_SIZE] == contents(number, SLOT_SIZE), number


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
@pytest.mark.parametrize("mode", [SharingMode.OVERLAY, SharingMode.EXCLUSIVE])
def test_killed_while_the_guest_writes(
    debian: GuestFiles, tmp_path: Path, program: Program, first_seed: int, mode: SharingMode, kills: int
) -> None:
    """Again and again: each guest goes on where the one before was killed."""
    dice = random.Random(first_seed)
    script = write_script(tmp_path / "script", SCRIPT)
    data = make_file_system(tmp_path / "data", program, MEGABYTES)
    changes = tmp_path / "changes" if mode is SharingMode.OVERLAY else None
    described = f"{mode.value}:{changes}" if changes else mode.value
    words = ["--append", "quiet dbt.run=/dev/vdb", "--drive", f"file={script}"]
    words += ["--drive", f"file={data},mode={described}"]
    last = -1
    for kill in range(kills):
        found, now = run_and_kill(words, dice)
        assert found in (last, last + 1)
        last = now
        image = copy_of(Drive(data, mode, changes), tmp_path / "copy")
        replay_and_check(image, program)
        assert_all_there(image, last, tmp_path / f"files{kill}", program)
