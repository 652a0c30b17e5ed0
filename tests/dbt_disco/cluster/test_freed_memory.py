"""What a Debian guest has freed goes back to the machine, for other virtual machines to use, and no byte with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, machine, virtual_machine
from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles

TIMEOUT = 120
MEGABYTE = 1 << 20
FILE = 64
"""Megabytes that are written to a RAM disk."""
PROMPT = "/ # "
WRITE = f"mkdir /ram; mount -t tmpfs ram /ram; dd if=/dev/urandom of=/ram/file bs=1M count={FILE}; sha256sum /ram/file"


def in_use(cluster: ClusterProcess) -> float:
    """Megabytes of machine memory."""
    return float(cluster.execute("query-statistics")["memory"]["in_use"]) / MEGABYTE


def shell(cluster: ClusterProcess, guest: str, command: str) -> str:
    """What a command prints."""
    cluster.send(guest, f"{command}\n")
    cluster.wait_for(guest, "\n")
    return cluster.wait_for(guest, PROMPT)[0]


def wait_for_less(cluster: ClusterProcess, than: float) -> None:
    deadline = time.monotonic() + TIMEOUT / 2
    while in_use(cluster) > than:
        assert time.monotonic() < deadline, f"{in_use(cluster)} MB are in use, rather than {than}"
        time.sleep(0.1)


@pytest.mark.slow
def test_freed_memory_serves_others(debian: GuestFiles, tmp_path: Path) -> None:
    """The machine has not room for the files of both."""
    append = f"{DEBIAN_COMMAND_LINE} quiet shell"
    guests = ("first", "second")
    vms = [
        virtual_machine(
            name, debian.kernel, initrd=str(debian.initramfs), memory=192 << 20, append=append, balloon=True
        )
        for name in guests
    ]
    text = "".join([machine(1, 192 << 20), *vms])
    with ClusterProcess(text, tmp_path, tmp_path / "cache", TIMEOUT) as cluster:
        for guest in guests:
            cluster.start(guest)
            cluster.wait_for(guest, PROMPT)
        sums = set()
        for guest in guests * 2:
            written = shell(cluster, guest, WRITE)
            sums.add(written.split("  /ram/file")[0].split()[-1])
            held = in_use(cluster)
            assert shell(cluster, guest, "sha256sum /ram/file").split()[0] in sums
            shell(cluster, guest, "rm /ram/file; umount /ram; rmdir /ram")
            wait_for_less(cluster, held - 3 / 4 * FILE)
        assert len(sums) == len(guests) * 2
        assert cluster.execute("audit") == {"disagreements": []}
