"""Benchmark programs inside guests: the bare-metal kernel that has them, and the figures made of their times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.benchmark.program_table import BARE_KERNEL, load_programs
from dbt_disco.benchmark.scenarios.guest_process import GuestError, GuestProcess, Moment
from dbt_disco.benchmark.scenarios.scenario import NATIVE, OWN, QEMU, Plan
from dbt_disco.benchmark.system.bare_loops import BareLoops
from dbt_disco.benchmark.system.launch import Guest, environment, own_command
from dbt_disco.command_line import main
from dbt_disco.debian.guest_files import GuestFiles

BARE = [program for program in load_programs().values() if program.is_bare]


def loops(tmp_path: Path) -> BareLoops:
    made = BareLoops(Plan(GuestFiles(tmp_path), tmp_path, BARE[:2], "tiny", 1, 60))
    made.programs = BARE[:2]
    return made


def test_every_program_in_the_kernel(tmp_path: Path) -> None:
    scenario = loops(tmp_path)
    with GuestProcess(own_command(Guest(BARE_KERNEL)), environment(tmp_path), timeout=120) as guest:
        for program in BARE:
            guest.wait_for(scenario.prompt)
            scenario.execute(guest, program, str(program.arguments["tiny"]))
        guest.wait_for(scenario.prompt)
        with pytest.raises(GuestError, match="has printed something else"):
            scenario.execute(guest, BARE[0], str(BARE[0].arguments["tiny"] + 1))
        guest.wait_for(scenario.prompt)
        guest.send("no-such-program\n")
        guest.wait_for("no such program\n# ")
        guest.send(scenario.reset)
        guest.join()


def test_means_are_geometric(tmp_path: Path) -> None:
    scenario = loops(tmp_path)
    first, second = (scenario.taken(program.name) for program in BARE[:2])
    for samples, own, qemu in ((first, 2, 2), (second, 4, 16)):
        for side, seconds in ((OWN, own), (QEMU, qemu), (NATIVE, 1)):
            samples.add(side, Moment(seconds, seconds))
    *programs, speed, time = scenario.figures()
    assert [figure.value for figure in programs] == [2, 4]
    assert speed.value == pytest.approx(2)
    assert time.value == pytest.approx(8**0.5)
    assert time.processor_value == pytest.approx(8**0.5)


def test_a_mean_needs_every_program(tmp_path: Path) -> None:
    scenario = loops(tmp_path)
    for side in (OWN, QEMU, NATIVE):
        scenario.taken(BARE[0].name).add(side, Moment(1, 1))
    *_, speed, time = scenario.figures()
    assert speed.value is None
    assert time.value is None


def test_all_sides(tmp_path: Path, program: Callable[[str], str]) -> None:
    for tool in ("cc", "qemu-system-mipsel"):
        program(tool)
    written = tmp_path / "bench.json"
    choice = ("--scenarios", "kernel", "--programs", "sieve,queens", "--scale", "tiny", "--repeats", "2")
    assert main(["bench", "--system", *choice, "--json", str(written)]) == 0
    times = json.loads(written.read_text())["scenarios"]["kernel"]["times"]
    assert set(times) == {"sieve", "queens"}
    for sides in times.values():
        assert {side: len(runs) for side, runs in sides.items()} == {OWN: 2, QEMU: 2, NATIVE: 2}
