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
from tests.dbt_disco.virtual_machine.linux_disks import Program, make_file_system, write_script
from tests.dbt_disco.virtual_machine.synced_writes import (
    MEGABYTES,
    SCRIPT,
    assert_all_there,
    copy_of,
    replay_and_check,
)


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
