"""Debian's mipsel programs under `dbt-disco run`: literals hold, everything else is as under qemu-mipsel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.real_programs.cases import CASES, Case
from tests.conformance.real_programs.conftest import INPUTS

REPOSITORY = Path(__file__).parents[3]

CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nowhere",
    "LC_ALL": "C",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": str(REPOSITORY),  # ours; launchers take it from the guest
    "XDG_CACHE_HOME": CACHE,
}
"""What programs get: nothing that differs from host to host and shows."""


@dataclass(frozen=True)
class Outcome:
    """What is seen of a finished program; a negative status is the signal that killed it."""

    status: int
    stdout: bytes
    stderr: bytes


def run(launcher: list[str], case: Case, sysroot: Path, directory: Path) -> Outcome:
    """Run a case in `directory` behind the launcher's command line."""
    program, *arguments = case.arguments
    done = subprocess.run(
        [*launcher, str(sysroot / program), *arguments],
        input=case.stdin,
        capture_output=True,
        cwd=directory,
        env=ENVIRONMENT,
        timeout=300,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_under_qemu(program: Callable[[str], str], case: Case, sysroot: Path, directory: Path) -> Outcome:
    """Run a case in a fresh copy of the inputs, in `directory`, under qemu-mipsel."""
    shutil.copytree(INPUTS, directory)
    return run([program("qemu-mipsel"), "-L", str(sysroot), "-U", "PYTHONPATH"], case, sysroot, directory)


def check_literal(case: Case, outcome: Outcome) -> None:
    """Compare an outcome with what the table says about the case."""
    assert outcome.status == case.status, outcome.stderr.decode(errors="replace")
    if case.output is not None:
        assert outcome.stdout.decode() == case.output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_program(
    case: Case, debian_sysroot: Path, input_directory: Path, tmp_path: Path, program: Callable[[str], str]
) -> None:
    launcher = [sys.executable, "-m", "dbt_disco", "run", "-L", str(debian_sysroot), "-E", "PYTHONPATH"]
    found = run(launcher, case, debian_sysroot, input_directory)
    check_literal(case, found)
    if case.output is None:
        input_directory.rename(tmp_path / "used")  # under QEMU it is to have the same name
        assert found == run_under_qemu(program, case, debian_sysroot, input_directory)


LITERALS = [case for case in CASES if case.output is not None and not case.not_under_qemu]


@pytest.mark.parametrize("case", LITERALS, ids=lambda case: case.name)
def test_literals_hold_under_qemu(
    case: Case, debian_sysroot: Path, tmp_path: Path, program: Callable[[str], str]
) -> None:
    """The table itself is right."""
    check_literal(case, run_under_qemu(program, case, debian_sysroot, tmp_path / "inputs"))
