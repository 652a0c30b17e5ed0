"""The compile worker's process: the guest, whose process ours is, must not notice it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.host_descriptors import own_descriptors
from runtime.native_code import native_code
from runtime.worker_process import WorkerProcess, worker_command
from translator.worker_messages import receive, send

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read(5)); sys.stdout.flush(); sys.stdin.read()"
SHOW_SIGNALS = (
    "print(next(line for line in open('/proc/self/status') if line.startswith('SigBlk')), flush=True)"
)


@contextmanager
def process(script: str) -> Iterator[WorkerProcess]:
    started = native_code(False).start_process([sys.executable, "-c", script])
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.close()


def test_it_talks_over_pipes_out_of_the_guests_sight() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with process(ECHO) as child:
        child.stdin.write(b"hello")
        child.stdin.flush()
        assert child.stdout.read(5) == b"hello"
        for file in (child.stdin, child.stdout):
            assert file.fileno() in own_descriptors
            assert file.fileno() > 100
            assert not os.get_inheritable(file.fileno())
    assert set(os.listdir("/proc/self/fd")) == before


def test_its_end_sends_no_signal_and_leaves_no_child() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda number, _: received.append(number))
    try:
        with process(ECHO) as child:
            assert not child.has_ended()
            child.kill()
            until = time.monotonic() + 10
            while not child.has_ended():
                assert time.monotonic() < until
        assert not received
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_it_does_not_inherit_blocked_signals() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        with process(SHOW_SIGNALS) as child:
            assert int(child.stdout.readline().split()[1], 16) == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_program_that_does_not_exist_ends_at_once() -> None:
    started = native_code(False).start_process(["/nonexistent/program"])
    started.wait()
    assert started.stdout.read() == b""
    started.close()


def test_its_processor_time_is_known_while_it_lives() -> None:
    busy = native_code(False).start_process([sys.executable, "-c", "print(); input()"])
    assert busy.stdout.read(1)
    spent = busy.processor_seconds()
    assert 0.001 < spent < 5
    assert busy.processor_seconds() >= spent
    busy.kill()
    busy.wait()
    assert busy.processor_seconds() == 0
    busy.close()
    assert busy.processor_seconds() == 0


def _answers() -> None:
    worker = native_code(False).start_process(worker_command())
    try:
        send(worker.stdin, ("list", False, "define void @nothing() { ret void }"))
        assert receive(worker.stdout)[0] == "listing", worker.last_words()
    finally:
        worker.kill()
        worker.wait()
        worker.close()


def test_the_working_directory_is_not_where_the_worker_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the guest's, and may hold anything."""
    for name in ("translator", "struct", "llvmlite"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    _answers()


def test_another_installation_in_front_is_not_where_the_worker_is_looked_for(tmp_path: Path) -> None:
    """A VM of a checkout got code for the registers' places of the version that was installed: guests broke."""
    (tmp_path / "translator").mkdir()
    (tmp_path / "translator" / "__init__.py").write_text("raise SystemExit('not this one')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    command = worker_command()
    ended = subprocess.run(command, env=environment, input=b"", capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
