"""The monitor of several Debian guests is killed while all of them write: what each has synced is there."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, disk, machine, virtual_machine
from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive, SharingMode
from tests.dbt_disco.virtual_machine.linux_disks import Program, make_file_system, write_script
from tests.dbt_disco.virtual_machine.synced_writes import (
    MEGABYTES,
    SCRIPT,
    assert_all_there,
    copy_of,
    replay_and_check,
)

TIMEOUT = 300
MEMORY = 128 << 20
MODES = {"changes-1": SharingMode.OVERLAY, "changes-2": SharingMode.OVERLAY, "owner": SharingMode.EXCLUSIVE}
"""The first two write to one image, each to changes of its own."""


def drives(directory: Path) -> dict[str, Drive]:
    """Each guest's disk, as the next one would open it."""
    base, own = directory / "base", directory / "own"
    return {
        name: Drive(base, mode, directory / f"{name}.overlay")
        if mode is SharingMode.OVERLAY
        else Drive(own, mode)
        for name, mode in MODES.items()
    }


def description(debian: GuestFiles, directory: Path) -> str:
    modes = {
        "base": {"mode": "overlay", "overlay": str(directory / "{vm}.overlay")},
        "own": {"mode": "exclusive"},
    }
    parts = [machine(2, 320 << 20), disk("root", debian.root_disk), disk("script", directory / "script")]
    for name, others in modes.items():
        lines = (f"{key} = {json.dumps(value)}" for key, value in others.items())
        parts.append("\n".join([disk(name, directory / name).rstrip(), *lines, "", ""]))
    for name, mode in MODES.items():
        disks = ["root", "script", "base" if mode is SharingMode.OVERLAY else "own"]
        append = f"{DEBIAN_COMMAND_LINE} quiet dbt.run=/dev/vdb"
        parts.append(
            virtual_machine(
                name, debian.kernel, disks=disks, memory=MEMORY, append=append, initrd=str(debian.initramfs)
            )
        )
    return "".join(parts)


def run_and_kill(text: str, directory: Path, dice: random.Random) -> dict[str, tuple[int, int]]:
    """Kill the cluster while its guests write: what each found synced, and what it has synced."""
    with ClusterProcess(text, directory, directory / "cache", TIMEOUT) as cluster:
        for name in MODES:
            cluster.start(name)
        found, last = {}, {}
        for name in MODES:
            cluster.wait_for(name, "ready ")
            found[name] = last[name] = int(cluster.wait_for(name, "\n")[0]) - 1
        for _ in range(dice.randrange(2, 12)):
            for name in MODES:
                cluster.wait_for(name, "synced ")
                last[name] = int(cluster.wait_for(name, "\n")[0])
        time.sleep(dice.random() * 0.1)
        monitor = cluster.host_process
        assert monitor is not None
        monitor.kill()
        monitor.wait()
        # What had been said, and nobody had read yet, has been lost: they have synced at least that much.
        return {name: (found[name], last[name]) for name in MODES}


@pytest.mark.parametrize(
    "kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.soak)]
)
def test_killed_while_all_guests_write(
    debian: GuestFiles, tmp_path: Path, program: Program, first_seed: int, kills: int
) -> None:
    """Again and again: each guest goes on where it was killed."""
    dice = random.Random(first_seed)
    write_script(tmp_path / "script", SCRIPT)
    for name in ("base", "own"):
        make_file_system(tmp_path / name, program, MEGABYTES)
    text = description(debian, tmp_path)
    last = dict.fromkeys(MODES, -1)
    for kill in range(kills):
        synced = run_and_kill(text, tmp_path, dice)
        for name, drive in drives(tmp_path).items():
            found, now = synced[name]
            assert found == last[name]
            image = copy_of(drive, tmp_path / "copy")
            replay_and_check(image, program)
            last[name] = assert_all_there(image, now, tmp_path / f"{name}{kill}", program, is_last=False)
