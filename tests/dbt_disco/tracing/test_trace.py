"""`dbt-disco run --trace`: every engine tells the same story, which agrees with the program's code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.assembler import assemble
from tests.dbt_disco.commands.command import HELLO, command
from tests.dbt_disco.linux.elf_builder import ElfBuilder

START = 0x40_0074
"""Where ElfBuilder's code begins."""
PROGRAM = (
    "addiu r8, r0, 3",
    "addiu r29, r29, -16",
    "sw r8, 4(r29)",  # loop: +8
    "lhu r9, 4(r29)",
    "addiu r8, r8, -1",
    "bne r8, r0, -4",
    "swl r9, 9(r29)",
    "addiu r2, r0, 4020",  # getpid
    "syscall",
    "lw r10, 1(r0)",  # a fault
)


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "guest"
    path.write_bytes(ElfBuilder(code=tuple(map(assemble, PROGRAM))).build())
    path.chmod(0o755)
    return path


def trace(kind: str, *words: object) -> list[str]:
    done = command("run", "--trace", kind, *words)
    return done.errors.splitlines()


@pytest.mark.parametrize("engine", ["reference", "interpreter", "translator"])
def test_instructions(guest: Path, engine: str) -> None:
    lines = trace("insn", "--engine", engine, guest)
    addresses = [line[:8] for line in lines if not line.startswith("(")]
    loop = [START + 4 * k for k in range(2, 7)]
    expected = [START, START + 4, *loop * 3, START + 28, START + 32, START + 36]
    assert addresses == [f"{pc:08x}" for pc in expected]
    assert lines[0].split() == ["00400074:", "24080003", "addiu", "$t0,", "$zero,", "3", "t0=00000003"]
    assert lines[6].startswith("0040008c:+")
    assert lines[-3].endswith("! SYS")
    assert lines[-2].startswith("(system)")
    assert "v0=" in lines[-2]
    assert lines[-1].endswith("! fault at 00000001")


@pytest.mark.parametrize("engine", ["reference", "interpreter", "auto"])
def test_blocks(guest: Path, engine: str) -> None:
    lines = trace("block", "--engine", engine, guest)
    assert [line.split()[:2] for line in lines] == [
        ["00400074", "7"],
        ["0040007c", "5"],
        ["0040007c", "5"],
        ["00400090", "1"],
        ["00400098", "0"],
    ]
    assert lines[3].endswith("! SYS")
    assert lines[4].endswith("! fault at 00000001")


@pytest.mark.parametrize("engine", ["reference", "interpreter"])
def test_memory(guest: Path, engine: str) -> None:
    lines = [line.split() for line in trace("mem", "--engine", engine, guest)]
    assert [line[0] for line in lines[:3]] == ["0040007c", "00400080", "0040008c"]
    assert [line[1] for line in lines[:2]] == ["W4", "R2"]
    assert lines[0][2] == lines[1][2]
    assert lines[0][3] == "00000003"
    assert lines[1][3] == "0003"
    assert len([line for line in lines if line[1] == "W4" and line[0] == "0040007c"]) == 3


def test_start_and_stop(guest: Path) -> None:
    """Two addresses of the loop, the first of which comes round three times."""
    lines = trace("insn", "--trace-start", hex(START + 12), "--trace-stop", hex(START + 20), guest)
    assert [line[:8] for line in lines] == ["00400080", "00400084"] * 3


def test_file(guest: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    done = command("run", "--trace", "block", "--trace-file", path, guest)
    assert done.errors == ""
    assert len(path.read_text().splitlines()) == 5


def test_the_program_notices_nothing() -> None:
    done = command("run", "--trace", "insn", "--trace-file", "/dev/null", HELLO)
    assert (done.status, done.output, done.errors) == (0, command("run", HELLO).output, "")


def test_a_file_that_cannot_be_written() -> None:
    done = command("run", "--trace", "insn", "--trace-file", "/no/such/place", HELLO)
    assert "/no/such/place: cannot write the trace" in done.error_line()
    assert done.status == 1
