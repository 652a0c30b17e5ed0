"""Signals from outside, and how the command ends: by the guest's signal, as seen by whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.dbt_disco.linux.elf_builder import ElfBuilder

REPOSITORY = Path(__file__).resolve().parents[3]

LOOP = (0x1000_FFFF, 0)  # b . ; nop
PAUSE = (0x2402_0000 | 4029, 0x0000_000C)
"""pause()."""
STORE_TO_NULL = (0xAC00_0000,)
"""sw zero, 0(zero)"""
BREAK_7 = (0x0007_000D,)
"""What compilers emit for a division by zero."""
RESERVED = (0x7C00_003F,)
JUMP_TO_ODD = (0x2408_0002, 0x3508_0001, 0x0100_0008, 0)
OVERFLOW_STACK = (0x27BD_F000, 0xAFA0_0000, 0x1000_FFFD, 0)
"""addiu sp, sp, -4096; sw zero, 0(sp); b to the start."""
WRITE_TO_CODE = (0x3C08_0040, 0xAD00_0000)
"""lui t0, 0x40; sw zero, 0(t0)"""
JUMP_TO_KERNEL = (0x3C08_8000, 0x0100_0008, 0)
EXIT = (0x2404_0003, 0x2402_0000 | 4001, 0x0000_000C)
"""exit(3)"""


@pytest.fixture
def start(tmp_path: Path) -> object:
    """Start a program made of these instructions under the command."""
    children = []

    def starter(
        code: tuple[int, ...], engine: str = "interpreter", **options: object
    ) -> subprocess.Popen[bytes]:
        path = tmp_path / "program"
        path.write_bytes(ElfBuilder(code=code).build())
        path.chmod(0o755)
        command = [sys.executable, "-m", "dbt_disco", "run", "--engine", engine, str(path)]
        # A process group of its own: in an orphaned one, as under CI, SIGTSTP stops nobody.
        options = {"process_group": 0, **options}
        child = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]
        children.append(child)
        return child  # type: ignore[no-any-return]

    yield starter
    for child in children:
        child.kill()
        child.wait()


def wait_until_running(child: subprocess.Popen[bytes]) -> None:
    """Until the personality has taken over the signals."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = Path(f"/proc/{child.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGUSR1 - 1) & 1:
            return
        time.sleep(0.02)
    raise AssertionError("the guest has not started")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("code", [LOOP, PAUSE], ids=["computing", "waiting"])
def test_a_signal_from_outside_kills_the_guest_and_the_command(
    start: object, code: tuple[int, ...], number: signal.Signals
) -> None:
    child = start(code)  # type: ignore[operator]
    wait_until_running(child)
    time.sleep(0.1)
    child.send_signal(number)
    assert child.wait(timeout=10) == -number
    assert child.stderr.read() == b""


def test_a_signal_ignored_from_the_start_stays_ignored(start: object) -> None:
    child = start(LOOP, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))  # type: ignore[operator]
    wait_until_running(child)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=10) == -signal.SIGTERM


def test_stop_and_continue(start: object) -> None:
    child = start(LOOP)  # type: ignore[operator]
    wait_until_running(child)
    child.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    child.send_signal(signal.SIGCONT)
    time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=10) == -signal.SIGTERM


@pytest.mark.parametrize("engine", ["interpreter", "auto", "reference"])
@pytest.mark.parametrize(
    ("code", "number"),
    [
        (STORE_TO_NULL, signal.SIGSEGV),
        (WRITE_TO_CODE, signal.SIGSEGV),
        (JUMP_TO_KERNEL, signal.SIGSEGV),
        (OVERFLOW_STACK, signal.SIGSEGV),
        (JUMP_TO_ODD, signal.SIGBUS),
        (BREAK_7, signal.SIGFPE),
        (RESERVED, signal.SIGILL),
    ],
    ids=["null", "code", "kernel", "overflow", "odd", "break", "reserved"],
)
def test_a_guest_that_faults_dies_by_the_right_signal(
    start: object, engine: str, code: tuple[int, ...], number: signal.Signals
) -> None:
    child = start(code, engine)  # type: ignore[operator]
    assert child.wait(timeout=60) == -number
    assert child.stderr.read() == b""


def test_exit_status(start: object) -> None:
    assert start(EXIT).wait(timeout=20) == 3  # type: ignore[operator]
