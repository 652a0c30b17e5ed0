"""A guest that writes to a disk and says what it has synced, for tests that kill its monitor: is all of it there?"""

from __future__ import annotations

import subprocess
from pathlib import Path

from dbt_disco.disks.drive import Drive
from tests.dbt_disco.virtual_machine.linux_disks import Program, assert_clean

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


def assert_all_there(
    image: Path, last: int, directory: Path, program: Program, *, is_last: bool = True
) -> int:
    """Everything synced up to number `last`; of what is beyond, the disk may have one, or, if `last` need not have been
    the last, more. The last number that is there.
    """
    directory.mkdir()
    subprocess.run([program("debugfs"), "-R", f"rdump / {directory}", image], check=True, capture_output=True)
    log = (directory / "log").read_text().splitlines()
    assert log == [str(number) for number in range(len(log))]
    there = len(log) - 1
    assert there in (last, last + 1) or (there > last and not is_last)
    # What is in the log had been synced before; of what it replaces, the next one may have been overwritten.
    for number in range(max(0, there - FILES + 2), there + 1):
        assert (directory / f"file{number % FILES}").read_bytes() == contents(
            number, number * 997 % 60000 + 1
        )
    slots = (directory / "slots").read_bytes()
    for number in range(max(0, there - SLOTS + 2), there + 1):
        at = number % SLOTS * SLOT_SIZE
        assert slots[at : at + SLOT_SIZE] == contents(number, SLOT_SIZE), number
    return there
