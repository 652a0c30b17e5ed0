"""`dbt_disco.load`: Linux programs under the control of Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dbt_disco
from dbt_disco import StopReason
from tests.conformance.assembler import assemble
from tests.dbt_disco.commands.command import HELLO, HELLO_BIG_ENDIAN, REPOSITORY
from tests.dbt_disco.linux.elf_builder import ElfBuilder

START = 0x40_0074
"""Where ElfBuilder's code begins."""


def build(path: Path, *code: str) -> Path:
    path.write_bytes(ElfBuilder(code=tuple(map(assemble, code))).build())
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("engine", ["reference", "interpreter", "translator", "auto"])
@pytest.mark.parametrize("path", [HELLO, HELLO_BIG_ENDIAN])
def test_hello(path: Path, engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    with dbt_disco.load(path, engine=engine) as program:  # type: ignore[arg-type]
        result = program.run()
        assert (result.reason, result.exit_code) == (StopReason.EXIT, 0)
        assert program.has_ended
        with pytest.raises(RuntimeError, match="has ended"):
            program.run()
    assert capfd.readouterr().out.startswith("Hello from a ")


def test_in_pieces() -> None:
    """Stopped every 500 instructions, a program does the same as in one run."""
    with dbt_disco.load(HELLO, engine="interpreter") as whole:
        expected = whole.run()
    with dbt_disco.load(HELLO, engine="interpreter") as program:
        total = 0
        while (result := program.run(count=500)).reason is StopReason.COUNT:
            total += result.instructions
        assert result.exit_code == 0
        assert total + result.instructions == expected.instructions


def test_until_and_registers(tmp_path: Path) -> None:
    path = build(tmp_path / "guest", "addiu r4, r0, 7", "addiu r2, r0, 4001", "syscall")
    with dbt_disco.load(path, ["one", "two"]) as program:
        assert program.pc == START
        count = program.read_word(program.registers["sp"])
        assert count == 3
        program.run(until=START + 8)
        assert program.registers["a0"] == 7
        program.registers["a0"] = 8
        assert program.run().exit_code == 8


def test_environment_and_arguments(tmp_path: Path) -> None:
    path = build(tmp_path / "guest", "syscall")
    with dbt_disco.load(path, [b"\xff"], environment={"KEY": "value"}) as program:
        pointers = [program.read_word(program.registers["sp"] + 4 * k) for k in range(6)]
        assert pointers[0] == 2
        assert program.read(pointers[2], 2) == b"\xff\0"
        assert program.read(pointers[4], 10) == b"KEY=value\0"
        assert pointers[5] == 0


def test_killed(tmp_path: Path) -> None:
    with dbt_disco.load(build(tmp_path / "guest", "sw r0, 0(r0)")) as program:
        result = program.run()
    assert (result.reason, result.signal, result.exit_code) == (StopReason.SIGNAL, "SIGSEGV", None)


def test_timeout_and_resume(tmp_path: Path) -> None:
    path = build(
        tmp_path / "guest",
        "beq r4, r0, -1",
        "addiu r8, r8, 1",
        "addiu r2, r0, 4001",
        "syscall",
    )
    for engine in ("reference", "interpreter", "translator"):
        with dbt_disco.load(path, engine=engine) as program:  # type: ignore[arg-type]
            assert program.run(count=1000).instructions == 1000
            result = program.run(timeout=0.3)
            assert (result.reason, result.instructions > 1000) == (StopReason.TIMEOUT, True)
            program.registers["a0"] = 5
            assert program.run().exit_code == 5


def test_keyboard_interrupt_is_pythons(tmp_path: Path) -> None:
    path = build(tmp_path / "guest", "beq r0, r0, -1", "nop")
    for engine in ("reference", "interpreter"):
        with dbt_disco.load(path, engine=engine) as program:  # type: ignore[arg-type]
            threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
            with pytest.raises(KeyboardInterrupt):
                program.run(timeout=20)
            assert program.run(count=10).reason is StopReason.COUNT


def test_the_guests_alarm_is_the_guests(tmp_path: Path) -> None:
    """Without a handler it kills the guest, not the Python program."""
    path = build(
        tmp_path / "guest", "addiu r4, r0, 1", "addiu r2, r0, 4027", "syscall", "beq r0, r0, -1", "nop"
    )
    with dbt_disco.load(path, engine="interpreter") as program:
        assert program.run(timeout=20).signal == "SIGALRM"
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_load_errors() -> None:
    with pytest.raises(dbt_disco.LoadError, match="no such file"):
        dbt_disco.load("/no/such/program")
    with pytest.raises(dbt_disco.LoadError, match="another machine"):
        dbt_disco.load(sys.executable)


def test_import_is_light() -> None:
    script = "import sys, dbt_disco; print(sorted(m for m in sys.modules if m.startswith(('runtime', 'translator'))))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_example_in_the_package(tmp_path: Path) -> None:
    """The docstring is what a newcomer copies."""
    text = dbt_disco.__doc__ or ""
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    script = "\n".join(lines).replace('load("hello")', f"load({str(HELLO)!r})")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert "exit_code=0" in done.stdout
    assert done.stdout.endswith("42\n")


def test_many_programs_that_nobody_closes_take_few_descriptors() -> None:
    """One each, for its memory; the others the process has once."""
    programs = [dbt_disco.load(HELLO, engine="interpreter")]
    before = len(os.listdir("/proc/self/fd"))
    programs += [dbt_disco.load(HELLO, engine="interpreter") for _ in range(10)]
    assert len(os.listdir("/proc/self/fd")) <= before + 10
    for program in programs:
        program.close()
