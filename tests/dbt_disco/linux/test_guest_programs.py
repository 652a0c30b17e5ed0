"""The self-checking programs of guests/linux on our engines, on Unicorn and, to check the checks, on QEMU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAMS = ("files", "memory", "process", "signals", "waiting")
ARGUMENTS = ("one argument", "")

RUNNERS = {
    "interpreter": ["dbt_disco", "run", "--engine", "interpreter"],
    "auto": ["dbt_disco", "run", "--engine", "auto"],
    "unicorn": ["tests.dbt_disco.linux.run_on_unicorn"],
}
# Unicorn reads pages behind a file's end and dies, and executes what may not be executed.
NOT_ON_UNICORN = {"memory", "signals"}
# QEMU 7.2 knows better than Linux here: it gives other si_codes for `break` and `teq` and for a timer, checks
# less in mprotect, and has no answer to a file page that is gone.
NOT_ON_QEMU = {"memory", "signals", "waiting"}


def run(command: list[str]) -> tuple[int, str]:
    environment = {"NAME": "value", "PYTHONPATH": str(REPOSITORY), "PATH": os.environ["PATH"]}
    # The programs expect NAME first, so the order above matters.
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout[-2000:] + done.stderr[-2000:]


def guest(target: str, program: str) -> str:
    return str(REPOSITORY / "guests" / "prebuilt" / target / "linux" / program)


@pytest.mark.parametrize("target", ["mipsel", "mips"])
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("runner", RUNNERS)
def test_all_checks_pass(runner: str, name: str, target: str) -> None:
    if runner == "unicorn" and name in NOT_ON_UNICORN:
        pytest.skip("what this program does kills Unicorn")
    command = [sys.executable, "-m", *RUNNERS[runner], guest(target, name), *ARGUMENTS]
    status, output = run(command)
    assert " passed, 0 failed\n" in output and status == 0, output


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - NOT_ON_QEMU))
def test_the_checks_hold_elsewhere(name: str, program: Callable[[str], str]) -> None:
    status, output = run([program("qemu-mipsel"), guest("mipsel", name), *ARGUMENTS])
    assert " passed, 0 failed\n" in output and status == 0, output
