"""Random programs as executables under qemu-mipsel and qemu-mips, against our engines and `dbt-disco run`.

QEMU 7's user mode is the authority on NaNs and on what a signal handler sees.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import ENGINES
from tests.conformance.linux_program import as_signal, build, parse
from tests.conformance.machine import Outcome, Start
from tests.conformance.machines import make_machine
from tests.conformance.random.comparison import assert_equal
from tests.conformance.random.programs import FOR_LINUX, ProgramGenerator

PROGRAMS = 15
PROGRAMS_RUN = 2
LENGTHS = (8, 30, 100, 300)
Program = Callable[[str], str]


def run(command: list[str], start: Start, directory: Path, big_endian: bool, wide_fpu: bool) -> Outcome:
    """The outcome under a command that takes an executable."""
    path = directory / "program"
    path.write_bytes(build(start, big_endian=big_endian, wide_fpu=wide_fpu))
    path.chmod(0o755)
    completed = subprocess.run([*command, str(path)], capture_output=True, timeout=60, check=False)
    assert completed.returncode == 0, f"{command} → {completed.returncode}: {completed.stderr.decode()}"
    return parse(completed.stdout, big_endian=big_endian, wide_fpu=wide_fpu)


def qemu(program: Program, big_endian: bool) -> list[str]:
    return [program("qemu-mips" if big_endian else "qemu-mipsel"), "-cpu", "24Kf"]


def random_start(seed: int, wide_fpu: bool) -> Start:
    source = random.Random(seed)
    return ProgramGenerator(source, wide_fpu, source.choice(LENGTHS), FOR_LINUX).start()


def check(
    reference: list[str], engines: Iterator[str], directory: Path, mode: tuple[bool, bool], seed: int
) -> None:
    """One program under QEMU and on some of our engines."""
    start = random_start(seed, mode[1])
    expected = run(reference, start, directory, *mode)
    for engine in engines:
        machine = make_machine(engine, *mode)
        assert_equal(("qemu", expected), (engine, as_signal(machine.execute(start))), start, seed)


@pytest.mark.parametrize("wide_fpu", [False, True], ids=["fr0", "fr1"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ENGINES)
def test_engine(
    engine: str, big_endian: bool, wide_fpu: bool, first_seed: int, program: Program, tmp_path: Path
) -> None:
    for seed in range(first_seed, first_seed + PROGRAMS):
        check(qemu(program, big_endian), iter([engine]), tmp_path, (big_endian, wide_fpu), seed)


@pytest.mark.parametrize("wide_fpu", [False, True], ids=["fr0", "fr1"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ENGINES)
def test_run_command(
    engine: str, big_endian: bool, wide_fpu: bool, first_seed: int, program: Program, tmp_path: Path
) -> None:
    ours = [sys.executable, "-m", "dbt_disco", "run", "--engine", engine]
    for seed in range(first_seed, first_seed + PROGRAMS_RUN):
        start = random_start(seed, wide_fpu)
        outcomes = [
            run(command, start, tmp_path, big_endian, wide_fpu)
            for command in (qemu(program, big_endian), ours)
        ]
        assert_equal(("qemu", outcomes[0]), (f"dbt-disco run --engine {engine}", outcomes[1]), start, seed)


@pytest.mark.soak
def test_engines_soak(soak_seeds: Iterator[int], program: Program, tmp_path: Path) -> None:
    for seed in soak_seeds:
        mode = bool(seed & 1), bool(seed & 2)
        check(qemu(program, mode[0]), iter(ENGINES), tmp_path, mode, seed)
