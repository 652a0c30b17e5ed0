"""`dbt-disco demo`: what a newcomer sees first, and that it notices what is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.command_line import main
from dbt_disco.demo import engine_speeds, four_machines
from dbt_disco.demo.disk_image import PAGE_SIZE, Volume, demo_volume
from tests.dbt_disco.commands.command import REPOSITORY, command, launcher

TIMEOUT = 300
MB = 1 << 20

ENGINE = re.compile(r"  (\w+) +[\d,.]+ million +[\d.]+ +[\d,.]+ +([\d,]+)")
MACHINE = re.compile(r"  (vm\d)  node (\d) +[\d.]+ s  (.*)")


def test_what_it_shows(tmp_path: Path) -> None:
    done = command("demo", timeout=TIMEOUT, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert (done.status, done.errors) == (0, "")
    assert "\x1b" not in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    assert not list(tmp_path.iterdir())

    engines = [found.groups() for found in map(ENGINE.fullmatch, done.output.splitlines()) if found]
    assert [engine for engine, _ in engines] == ["reference", "interpreter", "translator"]
    assert engines[0][1] == "1"
    machines = [found.groups() for found in map(MACHINE.fullmatch, done.output.splitlines()) if found]
    assert sorted(name for name, _, _ in machines) == [*four_machines.NAMES]
    for name, node, said in machines:
        assert int(node) == four_machines.NAMES.index(name) % 2
        crashed = "crash on purpose: store to an address that is not mapped"
        assert said == crashed if name == four_machines.CRASHES else said.startswith("right: all files, ")
    assert done.output.splitlines()[-1].endswith("the memory audit agrees.")


def test_the_memory_it_shows(tmp_path: Path) -> None:
    """Files that are whole pages, or the whole pages of files, are there once and seen four times."""
    volume, disk = demo_volume(), tmp_path / "disk"
    disk.write_bytes(volume.image())
    with four_machines.four_machines(volume, disk) as machines:
        assert not [report.wrong for report in machines.reports(lambda _: None) if report.wrong]
        holdings = machines.holdings()
    assert not holdings.disagreements
    uses = [vm["memory_use"] for vm in holdings.statistics["vms"]]
    seen, held = sum(use["touched"] for use in uses), holdings.statistics["memory"]["in_use"]
    assert held == sum(holdings.statistics["memory"]["in_use_of_nodes"])
    assert held < four_machines.MACHINE.memory_size < seen
    once = sum(len(file.contents) // PAGE_SIZE for file in volume.files) * PAGE_SIZE
    assert seen - held >= 3 * once
    assert all(use["shared"] >= once for use in uses)
    assert holdings.cached * PAGE_SIZE >= once
    assert holdings.cached <= holdings.misses < holdings.hits
    assert disk.read_bytes() == volume.image()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One engine is enough, and so is a short computation."""
    monkeypatch.setattr(engine_speeds, "_SCALES", {"interpreter": "tiny"})
    monkeypatch.setattr(four_machines, "ROUNDS", 10)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert "All checksums" not in shown.out
    return line


@pytest.mark.usefixtures("quick")
def test_a_disk_that_is_damaged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sound = Volume.image

    def damaged(volume: Volume) -> bytes:
        image = bytearray(sound(volume))
        image[volume.first_scratch_sector * 512 - 2 * PAGE_SIZE] ^= 1  # in the last file
        return bytes(image)

    monkeypatch.setattr(Volume, "image", damaged)
    assert main(["demo"]) == 1
    line = error_line(capsys)
    assert re.match(r"dbt-disco: demo: vm\d: line \d of its report is '", line)
    assert "images: damaged, its CRC-32 is" in line
    assert line.endswith("; 3 more")


@pytest.mark.usefixtures("quick")
def test_an_engine_that_computes_the_wrong_thing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = engine_speeds.load_programs()
    wrong = replace(programs["queens"], outputs=programs[engine_speeds.PROGRAM].outputs)
    monkeypatch.setattr(engine_speeds, "load_programs", lambda: {engine_speeds.PROGRAM: wrong})
    assert main(["demo"]) == 1
    assert error_line(capsys).endswith("under the interpreter: printed something else than expected")


@pytest.mark.usefixtures("quick")
def test_an_audit_that_does_not_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Cluster, "audit", lambda _: ["machine page 1 has 2 users, and counts 3"])
    assert main(["demo"]) == 1
    assert error_line(capsys).endswith("the auditor found: machine page 1 has 2 users, and counts 3")


@pytest.mark.usefixtures("quick")
def test_a_machine_without_enough_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(four_machines, "MACHINE", MachineConfiguration(2, 1, MB))
    assert main(["demo"]) == 1
    assert "MB on 2 nodes are all in use" in error_line(capsys)


@pytest.mark.usefixtures("quick")
def test_machines_that_do_not_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are not waited for for ever, and are gone when the command has ended."""
    monkeypatch.setattr(four_machines, "ROUNDS", 1 << 31)
    monkeypatch.setattr(four_machines, "_TIME_LIMIT", 1)
    assert main(["demo"]) == 1
    assert "it has not ended after 1 s" in error_line(capsys)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dbt-disco-cpu")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("part", ["A MIPS program", "Four virtual machines"])
def test_it_can_be_ended_and_leaves_nothing(tmp_path: Path, number: signal.Signals, part: str) -> None:
    process = subprocess.Popen(
        launcher("demo"),
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(part):
            assert process.poll() is None
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == -number
        assert errors == "" and "All checksums" not in output
        assert not list(tmp_path.iterdir())
        wait_until_all_have_gone(process.pid)
    finally:
        process.kill()


def wait_until_all_have_gone(group: int) -> None:
    """Processes that are the ended one's children get to know by the end of a pipe."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)
