"""Debian boots again and again on the same disks, and finds what it has left there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive, SharingMode
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from tests.dbt_disco.virtual_machine.linux_disks import (
    Program,
    assert_clean,
    make_file_system,
    write_script,
)

TIMEOUT = 240
PIPELINES = 6
NUMBERS = 3000

SCRIPT = f"""
    set -euo pipefail
    mount /dev/vdc /mnt
    count=$(find /mnt -maxdepth 1 -name 'boot*' | wc -l)
    echo "earlier boots: $count, on the root disk $(cat ~/boots 2>/dev/null || echo 0)"
    for earlier in /mnt/boot*; do
        [ ! -d "$earlier" ] || (cd "$earlier" && sha256sum --quiet -c sums)
    done
    work=/mnt/boot$((count + 1))
    mkdir "$work"

    for number in $(seq {PIPELINES}); do
        seq 1 {NUMBERS} | awk -v n="$number" '{{ print $1 * n }}' | sort -rn | tee "$work/numbers$number" |
            sha256sum | cut -c1-64 >"$work/digest$number" &
    done
    for job in $(jobs -p); do
        wait "$job"
    done
    for number in $(seq {PIPELINES}); do
        echo "pipeline $number: $(cat "$work/digest$number")"
    done

    python3 - <<'END'
    import os
    total, reads = 0, []
    for child in range(8):
        read, write = os.pipe()
        if not os.fork():
            os.write(write, str(sum(i * i for i in range(child * 1000, child * 1000 + 1000))).encode())
            os._exit(child)
        os.close(write)
        reads.append(read)
    for read in reads:
        total += int(os.read(read, 100))
    print("children", total, sum(os.waitstatus_to_exitcode(os.wait()[1]) for _ in reads))
    END
    perl -e 'my $x = 1; $x = sqrt($x + $_) for 1 .. 20000; printf "roots %.12f\\n", $x'

    head -c 3000000 /dev/urandom >"$work/random"
    cp "$work/random" "$work/copy"
    dd if="$work/random" of="$work/tail" bs=5000 skip=100 conv=fsync status=none
    (cd "$work" && sha256sum * >/run/sums && mv /run/sums sums)
    echo $((count + 1)) >~/boots
    sync
    umount /mnt
    echo 3 >/proc/sys/vm/drop_caches
    mount -o ro /dev/vdc /mnt
    (cd "$work" && sha256sum --quiet -c sums && cmp random copy)
    mount -o remount,rw /mnt
    rm "$work/copy" && sed -i '/ copy$/d' "$work/sums"
    umount /mnt
    echo "verified"
"""


def expected_lines() -> list[str]:
    """What each boot computes, computed here."""
    lines = []
    for number in range(1, PIPELINES + 1):
        products = sorted((i * number for i in range(1, NUMBERS + 1)), reverse=True)
        digest = hashlib.sha256("".join(f"{product}\n" for product in products).encode()).hexdigest()
        lines.append(f"pipeline {number}: {digest}")
    root = 1.0
    for number in range(1, 20001):
        root = (root + number) ** 0.5
    return [*lines, f"children {sum(i * i for i in range(8000))} 28", f"roots {root:.12f}", "verified"]


@pytest.mark.parametrize("boots", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_boots_in_a_row(debian: GuestFiles, tmp_path: Path, program: Program, boots: int) -> None:
    """Forks, pipes, computes, writes, syncs, remounts and verifies."""
    root = Drive(debian.root_disk, SharingMode.OVERLAY, tmp_path / "changes")
    script = Drive(write_script(tmp_path / "script", SCRIPT), read_only=True)
    data = make_file_system(tmp_path / "data", program, 256)
    configuration = Configuration(
        debian.kernel,
        debian.initramfs,
        f"{DEBIAN_COMMAND_LINE} quiet dbt.run=/dev/vdb",
        drives=(root, script, Drive(data, SharingMode.EXCLUSIVE)),
    )
    for boot in range(boots):
        with RunningVirtualMachine(configuration) as guest:
            outcome = guest.join(TIMEOUT)
        lines = guest.console.text().splitlines()
        assert outcome == Outcome(Ending.RESET)
        expected = [f"earlier boots: {boot}, on the root disk {boot}", *expected_lines()]
        assert [line for line in lines if line in expected] == expected, guest.console.text()
        assert_clean(data, program)
