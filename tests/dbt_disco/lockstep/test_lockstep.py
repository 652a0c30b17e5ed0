"""`dbt-disco run --lockstep`: engines that agree run on; one that is broken on purpose is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.assembler import assemble
from tests.dbt_disco.commands.command import HELLO, HELLO_BIG_ENDIAN, QUEENS, REPOSITORY, Done, command
from tests.dbt_disco.linux.elf_builder import ElfBuilder

BROKEN_REFERENCE = """
import sys
from dbt_disco.command_line import main
import runtime.reference
from translator.encoding import ENCODINGS
from translator.integers import IntegerValue

def break_semantics(mnemonic, change):
    encoding = ENCODINGS[mnemonic]
    right = encoding.semantics
    def wrong(cpu, i):
        right(cpu, i)
        if isinstance(cpu, runtime.reference.ReferenceEngine):
            change(cpu, i)
    object.__setattr__(encoding, "semantics", wrong)

{what}
sys.exit(main())
"""


def run_broken(what: str, *words: object) -> Done:
    """`dbt-disco` with the reference engine's semantics changed by the statements `what`."""
    script = BROKEN_REFERENCE.format(what=what)
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """Counts to 100, stores and loads, calls a function, writes, exits with 7."""
    code = (
        "addiu r8, r0, 100",
        "addiu r29, r29, -16",
        "sw r8, 4(r29)",  # loop
        "lw r9, 4(r29)",
        "addu r10, r10, r9",
        "addiu r8, r8, -1",
        "bne r8, r0, -5",
        "xor r11, r10, r9",
        "bgezal r0, +3",
        "nop",
        "beq r0, r0, +3",
        "sb r10, 5(r29)",
        "jr r31",
        "addiu r12, r12, 1",
        "addiu r2, r0, 4020",
        "syscall",
        "addiu r4, r0, 7",
        "addiu r2, r0, 4001",
        "syscall",
    )
    path = tmp_path / "guest"
    path.write_bytes(ElfBuilder(code=tuple(map(assemble, code))).build())
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "engines",
    ["auto,reference", "translator,interpreter", "reference,interpreter", "interpreter,interpreter"],
)
@pytest.mark.parametrize("program", [HELLO, HELLO_BIG_ENDIAN])
def test_engines_agree(program: Path, engines: str) -> None:
    done = command("run", f"--lockstep={engines}", program)
    assert (done.status, done.errors) == (0, "")
    assert done.output == command("run", program).output


def test_default_engines_and_exit_status(guest: Path) -> None:
    assert command("run", "--lockstep", guest) == Done(7, "", "")


def test_a_longer_program_with_translated_code() -> None:
    """Under the translator, stretches between comparisons run in regions."""
    done = command("run", "--lockstep=translator,interpreter", QUEENS, 1)
    assert (done.status, done.errors) == (0, "")


def test_a_wrong_register_is_found_at_once(guest: Path) -> None:
    broken = "break_semantics('xor', lambda cpu, i: cpu.gpr.__setitem__(i.rd, IntegerValue(0x1234, 32)))"
    done = run_broken(broken, "run", "--lockstep=interpreter,reference", guest)
    assert done.status == 1
    *report, headline = done.errors.splitlines()
    assert headline.startswith("dbt-disco: lockstep: interpreter and reference differ after ")
    assert headline.endswith(", at 0x00400074: t3")
    marked = [line.split() for line in report if line.endswith("<-- differs")]
    assert [(line[0], line[3]) for line in marked] == [("t3", "1234")]
    assert any(line.startswith("  0040008c: 1500fffb") for line in report)
    assert any(line.strip().startswith("00400090: ") and "xor" in line for line in report)
    assert "block 0x00400074:" in report


def test_a_wrong_register_is_found_in_translated_code(guest: Path) -> None:
    broken = "break_semantics('addu', lambda cpu, i: cpu.gpr.__setitem__(i.rd, IntegerValue(1, 32)))"
    done = run_broken(broken, "run", "--lockstep=translator,reference", guest)
    assert done.status == 1
    assert "translator and reference differ" in done.errors
    assert "t2" in done.errors.splitlines()[-1]


def test_wrong_memory_is_found_at_the_next_system_call(guest: Path) -> None:
    """What the program never loads again shows in no register."""
    broken = (
        "right = runtime.reference.ReferenceEngine.store\n"
        "def store(self, address, value):\n"
        "    right(self, address, IntegerValue(value.number ^ 0x40, 8) if value.width == 8 else value)\n"
        "runtime.reference.ReferenceEngine.store = store"
    )
    done = run_broken(broken, "run", "--lockstep=interpreter,reference", guest)
    assert done.status == 1
    assert "memory at 0x7f" in done.errors.splitlines()[-1]
    assert " | " in done.errors


def test_a_missing_exception_is_found(tmp_path: Path) -> None:
    path = tmp_path / "guest"
    path.write_bytes(ElfBuilder(code=(assemble("teq r0, r0"), assemble("nop"))).build())
    path.chmod(0o755)
    broken = "object.__setattr__(ENCODINGS['teq'], 'semantics', lambda cpu, i: None)"
    cached = command("run", "--lockstep=interpreter,reference", path)
    assert cached.status < 0
    done = run_broken(broken, "run", "--lockstep=interpreter,reference", path)
    assert done.status == 1
    assert "end" in done.errors.splitlines()[-1]
    assert "exception TR" in done.errors
