"""The guest programs as committed: complete, small, static, and right under an independent emulator."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from dbt_disco.benchmark.program_table import FLOATING_POINT, SCALES, load_programs

REPOSITORY = Path(__file__).parents[2]
PREBUILT = REPOSITORY / "guests" / "prebuilt"
EMBEDDED = REPOSITORY / "dbt_disco" / "embedded"
DEMO_GUESTS = REPOSITORY / "dbt_disco" / "demo" / "guest"
BENCHMARKS = load_programs()
EXECUTABLES = sorted(
    path for root in (PREBUILT, EMBEDDED, DEMO_GUESTS) for path in root.glob("mips*/**/*") if path.is_file()
)

ENVIRONMENT_DEPENDENT = 5_000
"""Instructions: how much longer start-up may take with another environment and other arguments."""

LARGEST = 100_000
"""Bytes an executable may have."""


def identify(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_the_benchmark_set_is_complete() -> None:
    sources = {path.stem for path in (REPOSITORY / "guests" / "bench").glob("*.c")}
    assert sources == set(BENCHMARKS)
    assert len(sources) >= 14
    for program in BENCHMARKS.values():
        assert program.guest.is_file()
        assert tuple(program.arguments) == SCALES
        assert tuple(program.outputs) == SCALES
        assert tuple(program.instructions) == SCALES
        assert sorted(program.arguments.values()) == list(program.arguments.values())
    classes = {program.program_class for program in BENCHMARKS.values()}
    integer = {"integer", "memory", "branchy", "calls", "indirect", "string", "allocation"}
    assert classes == integer | FLOATING_POINT


@pytest.mark.parametrize("path", EXECUTABLES, ids=identify)
def test_executables(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert elf.little_endian == ("mipsel" in path.parts)
        assert elf["e_machine"] == "EM_MIPS"
        assert elf["e_type"] == "ET_EXEC"
        assert not list(elf.iter_segments("PT_INTERP"))
        assert not [section.name for section in elf.iter_sections() if section.name.startswith(".debug")]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_outputs_under_qemu(name: str, program: Callable[[str], str]) -> None:
    """Tiny scale, each endian there is an executable for."""
    benchmark = BENCHMARKS[name]
    for architecture in ("mipsel", "mips"):
        guest = PREBUILT / architecture / "bench" / name
        if architecture == "mipsel" or guest.exists():
            command = [program(f"qemu-{architecture}"), str(guest), str(benchmark.arguments["tiny"])]
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
            assert hashlib.sha256(output).hexdigest() == benchmark.outputs["tiny"]


@pytest.mark.parametrize(
    "engine",
    ["interpreter", "translator", "auto", pytest.param("reference", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_outputs(name: str, engine: str, tmp_path: Path) -> None:
    """Tiny scale under our engines; the little-endian guest executes as many instructions as recorded."""
    benchmark = BENCHMARKS[name]
    for architecture in ("mipsel", "mips"):
        guest = PREBUILT / architecture / "bench" / name
        if architecture == "mipsel" or guest.exists():
            statistics = tmp_path / architecture
            command = [sys.executable, "-m", "dbt_disco", "run", "--engine", engine, "--stats=json"]
            command += ["--stats-file", str(statistics), str(guest), str(benchmark.arguments["tiny"])]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120, cwd=REPOSITORY)
            assert hashlib.sha256(done.stdout).hexdigest() == benchmark.outputs["tiny"]
            if architecture == "mipsel":
                count = json.loads(statistics.read_text())["instructions"]
                assert count == pytest.approx(benchmark.instructions["tiny"], abs=ENVIRONMENT_DEPENDENT)


@pytest.mark.parametrize(
    ("architecture", "greeting"),
    [
        ("mipsel", b"Hello from a little-endian mips guest.\n"),
        ("mips", b"Hello from a big-endian mips guest.\n"),
    ],
)
def test_hello_under_qemu(architecture: str, greeting: bytes, program: Callable[[str], str]) -> None:
    hello = EMBEDDED / architecture / "hello"
    done = subprocess.run([program(f"qemu-{architecture}"), str(hello)], stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (0, greeting)
