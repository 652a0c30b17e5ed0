"""Debian's mipsel programs under `dbt-disco run`: literals hold, everything else is as under qemu-mipsel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.real_programs.cases import CASES, Case

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"}


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
        env=ENVIRONMENT | {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ},
        timeout=300,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def check_literal(case: Case, outcome: Outcome) -> None:
    """Compare an outcome with what the table says about the case."""
    assert outcome.status == case.status, outcome.stderr.decode(errors="replace")
    if case.output is not None:
        assert outcome.stdout.decode() == case.output


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.not_under_qemu], ids=lambda case: case.name
)
def test_table_holds_under_qemu(
    case: Case, debian_sysroot: Path, input_directory: Path, program: Callable[[str], str]
) -> None:
    qemu = [program("qemu-mipsel"), "-L", str(debian_sysroot)]
    check_literal(case, run(qemu, case, debian_sysroot, input_directory))
