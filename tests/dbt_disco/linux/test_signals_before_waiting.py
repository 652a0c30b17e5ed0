"""A signal that arrives between the guest's system call and the host's wait is not slept through."""

from __future__ import annotations

import os
import random
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.linux.exit_status import ExitStatus
from dbt_disco.linux_guest import LinuxGuest
from tests.conformance.assembler import assemble
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable

CODE, DATA = 0x40_0000, 0x41_0000
SIGALRM = 14
"""The guest's number."""
_READ, _PAUSE, _PIPE, _SETITIMER, _NANOSLEEP, _POLL = 4003, 4029, 4042, 4104, 4166, 4188
_INTERVAL, _LONG, _POLL_DESCRIPTOR, _BUFFER = 0, 32, 64, 96

WAITS = {
    "read": ["addu r4, r17, r0", f"addiu r5, r16, {_BUFFER}", "addiu r6, r0, 1", f"addiu r2, r0, {_READ}"],
    "pause": [f"addiu r2, r0, {_PAUSE}"],
    "nanosleep": [f"addiu r4, r16, {_LONG}", "addu r5, r0, r0", f"addiu r2, r0, {_NANOSLEEP}"],
    "poll": [
        *(f"addiu r4, r16, {_POLL_DESCRIPTOR}", f"sw r17, {_POLL_DESCRIPTOR}(r16)"),
        *("addiu r5, r0, 1", "addiu r6, r0, -1", f"addiu r2, r0, {_POLL}"),
    ],
}


def build(wait: list[str], microseconds: int) -> bytes:
    """Set an alarm, which kills, and wait for what does not come."""
    lines = [f"lui r16, {DATA >> 16}", f"addiu r2, r0, {_PIPE}", "syscall 0", "addu r17, r2, r0"]
    lines += ["addu r4, r0, r0", f"addiu r5, r16, {_INTERVAL}", "addu r6, r0, r0"]
    lines += [f"addiu r2, r0, {_SETITIMER}", "syscall 0", *wait, "syscall 0", "break 0"]
    data = bytearray(4096)
    struct.pack_into("<4I", data, _INTERVAL, 0, 0, 0, microseconds)
    struct.pack_into("<2I", data, _LONG, 1000, 0)
    struct.pack_into("<iHH", data, _POLL_DESCRIPTOR, 0, 1, 0)
    text = b"".join(assemble(line).to_bytes(4, "little") for line in lines)
    segments = [Segment(CODE, text, READ | EXECUTE), Segment(DATA, bytes(data), READ | WRITE)]
    return executable(CODE, segments, big_endian=False, wide_fpu=False)


@pytest.fixture
def patience() -> Iterator[threading.Event]:
    """Set when one wait lasts for more than ten seconds; it is then ended by another signal."""
    main = threading.main_thread().ident
    assert main is not None
    is_over, has_ended = threading.Event(), threading.Event()

    def watch() -> None:
        if not has_ended.wait(10):
            is_over.set()
            signal.pthread_kill(main, signal.SIGTERM)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield is_over
    has_ended.set()
    watcher.join()


@pytest.mark.parametrize("engine", ["interpreter", "reference"])
@pytest.mark.parametrize("wait", WAITS)
def test_an_alarm_ends_every_wait(wait: str, engine: str, tmp_path: Path, patience: threading.Event) -> None:
    chance = random.Random(1)
    for attempt in range(60):
        microseconds = chance.randint(1, 150)
        path = tmp_path / f"guest{attempt}"
        path.write_bytes(build(WAITS[wait], microseconds))
        path.chmod(0o755)
        before = set(os.listdir("/proc/self/fd"))
        guest = LinuxGuest(str(path), engine=engine)
        try:
            assert guest.run() == ExitStatus.killed(SIGALRM)
            assert not patience.is_set(), f"the alarm after {microseconds} µs was slept through"
        finally:
            guest.close()
            for descriptor in set(os.listdir("/proc/self/fd")) - before:  # the guest's pipe
                try:
                    os.close(int(descriptor))
                except OSError:
                    continue
