"""Processes that share Debian's one processor, preempted by the 250 Hz tick in the middle of translated code."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Clock, Configuration
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from dbt_disco.virtual_machine.statistics import measure
from tests.dbt_disco.virtual_machine.bare_programs import PREBUILT
from tests.dbt_disco.virtual_machine.linux_disks import Program, make_file_system, write_script

BENCH = Path(__file__).parents[3] / "guests" / "bench"
SCALES = tomllib.loads((BENCH / "programs.toml").read_text())
EXPECTED = tomllib.loads((BENCH / "expected.toml").read_text())

TIMEOUT = 400
SCALE = "short"
ROUNDS: dict[Clock, int] = {"host": 6, "instructions": 1}
"""How often a program runs: hundreds of ticks, of which there are more by far in a second of the instruction clock."""
PAIRS = [
    ("nbody", "mandelbrot"),
    ("sha256", "lz"),
    ("fft", "recursion"),
    pytest.param(("raytrace", "blur"), marks=pytest.mark.slow),
    pytest.param(("bytecode", "spectral"), marks=pytest.mark.slow),
    pytest.param(("words", "trees"), marks=pytest.mark.slow),
]
"""With floating point, without, one of each; what they print has been recorded from native runs."""


def script(names: tuple[str, str], rounds: int) -> str:
    """Runs each program again and again, all at once, and tells the digests of what they print."""
    loops = "".join(
        f"""
        for round in $(seq {rounds}); do
            echo "{name} $(/run/disk/{name} {SCALES[name]["scale"][SCALE]} | sha256sum | cut -c1-64)"
        done &"""
        for name in names
    )
    return f"""
        set -eu
        mkdir /run/disk
        mount -o ro /dev/vdb /run/disk
        switches() {{ awk '$1 == "ctxt" {{ print $2 }}' /proc/stat; }}
        ticks() {{ awk '$NF == "timer" {{ print $2 }}' /proc/interrupts; }}
        switches_before=$(switches) ticks_before=$(ticks)
        {loops}
        programs=$(jobs -p)
        # Somebody who wants the processor at odd moments: preemption there, and not at the ticks alone.
        (while :; do busybox usleep 700; done) &
        waker=$!
        wait $programs
        kill $waker
        echo "switches $(($(switches) - switches_before)) ticks $(($(ticks) - ticks_before))"
        """


@pytest.mark.parametrize("clock", ROUNDS)
@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_two_processes_and_their_checksums(
    debian: GuestFiles, tmp_path: Path, program: Program, names: tuple[str, str], clock: Clock
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in names:
        shutil.copy(PREBUILT / "mipsel" / "bench" / name, tree)
    programs = make_file_system(tmp_path / "programs", program, 16, tree)
    commands = write_script(tmp_path / "script", script(names, ROUNDS[clock]))
    configuration = Configuration(
        debian.kernel,
        debian.initramfs,
        f"{DEBIAN_COMMAND_LINE} quiet dbt.run=/dev/vdc",
        drives=tuple(map(Drive, (debian.root_disk, programs, commands))),
        clock=clock,
    )
    with RunningVirtualMachine(configuration) as guest:
        outcome = guest.join(TIMEOUT)
        statistics = measure(guest.virtual_machine)
    shown = guest.console.text()
    assert outcome == Outcome(Ending.RESET)
    for name in names:
        digests = re.findall(rf"^{name} (\w+)\r", shown, re.M)
        assert digests == [EXPECTED[name][SCALE]["output"]] * ROUNDS[clock], shown
    counts = re.search(r"^switches (\d+) ticks (\d+)", shown, re.M)
    assert counts is not None
    assert int(counts[1]) > 1000 and int(counts[2]) > 300, shown
    assert statistics["translations"]["installed"] > 20
    assert statistics["failures"] == []
    if clock == "instructions":
        by_tier = statistics["instructions_by_tier"]
        assert by_tier["translated"] > by_tier["interpreter"]
