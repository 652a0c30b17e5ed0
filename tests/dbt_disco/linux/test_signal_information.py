"""What a guest's handler is told of a signal from outside: the host's siginfo in the guest's numbers and layout."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbt_disco.linux.signal_info import SignalInfo
from tests.conformance.assembler import assemble
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable

REPOSITORY = Path(__file__).resolve().parents[3]
CODE, DATA = 0x40_0000, 0x41_0000
HANDLER = CODE + 0x200
SIGNAL_INFO_SIZE = 128
SA_SIGINFO = 8
USR1, ALRM, QUEUED = 16, 14, 37
"""The guest's numbers."""
SI_USER, SI_QUEUE, SI_TIMER, SI_KERNEL = 0, -1, -3, 0x80
"""The guest's codes."""
VALUE = 0x1234_5678

_WRITE, _PAUSE, _SETITIMER, _SIGACTION, _TIMER_CREATE, _TIMER_SETTIME = 4004, 4029, 4104, 4194, 4257, 4258
_ACTION, _READY, _INTERVAL, _EVENT, _TIMER, _SPECIFICATION = 0, 32, 64, 96, 128, 160

RUNS = {
    "interpreter": [sys.executable, "-m", "dbt_disco", "run", "--engine", "interpreter"],
    "auto": [sys.executable, "-m", "dbt_disco", "run"],
    "reference": [sys.executable, "-m", "dbt_disco", "run", "--engine", "reference"],
    "lockstep": [sys.executable, "-m", "dbt_disco", "run", "--lockstep"],
    "qemu": [],
}
HOST_QUEUED = {"qemu": QUEUED + 2}
"""By runner, the host's number for QUEUED, if it is another: QEMU shifts them past the C library's own two."""
libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int | str) -> list[str]:
    """A system call; a string is an offset in DATA, which is in r16."""
    lines = []
    for register, argument in enumerate(arguments, 4):
        base = "r16" if isinstance(argument, str) else "r0"
        lines.append(f"addiu r{register}, {base}, {int(argument)}")
    return [*lines, f"addiu r2, r0, {number}", "syscall 0"]


def build(big_endian: bool, prologue: list[str]) -> bytes:
    """A program that writes each siginfo it gets to its output; `prologue` runs once it is ready."""
    lines = [f"lui r16, {DATA >> 16}"]
    for number in (USR1, ALRM, QUEUED):
        lines += call(_SIGACTION, number, str(_ACTION), 0, 16)
    lines += [*call(_WRITE, 1, str(_READY), 1), *prologue]
    lines += [*call(_PAUSE), "beq r0, r0, -3", "nop"]
    handler = ["addiu r4, r0, 1", f"addiu r6, r0, {SIGNAL_INFO_SIZE}"]
    handler += [f"addiu r2, r0, {_WRITE}", "syscall 0", "jr r31", "nop"]
    order = "big" if big_endian else "little"
    text, handler_text = (
        b"".join(assemble(line).to_bytes(4, order) for line in part)  # type: ignore[arg-type]
        for part in (lines, handler)
    )
    words = ">" if big_endian else "<"
    data = bytearray(4096)
    struct.pack_into(f"{words}II", data, _ACTION, SA_SIGINFO, HANDLER)
    struct.pack_into("1s", data, _READY, b"r")
    struct.pack_into(f"{words}4I", data, _INTERVAL, 0, 0, 0, 1000)
    struct.pack_into(f"{words}3I", data, _EVENT, VALUE, QUEUED, 0)
    struct.pack_into(f"{words}4I", data, _SPECIFICATION, 0, 0, 0, 1_000_000)
    segments = [
        Segment(CODE, text.ljust(HANDLER - CODE, b"\0") + handler_text, READ | EXECUTE),
        Segment(DATA, bytes(data), READ | WRITE),
    ]
    return executable(CODE, segments, big_endian=big_endian, wide_fpu=False)


class Guest:
    """A running program of `build`."""

    def __init__(self, command: list[str], big_endian: bool) -> None:
        self.big_endian = big_endian
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert self._read(1) == b"r"

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        data = self.process.stdout.read(size)
        assert len(data) == size, f"the guest has ended with status {self.process.wait()}"
        return data

    def words(self, count: int) -> tuple[int, ...]:
        """Of the next siginfo: si_signo, si_code, si_errno, and of the union what there is."""
        order = ">" if self.big_endian else "<"
        return struct.unpack_from(f"{order}3i{count - 3}I", self._read(SIGNAL_INFO_SIZE))


@pytest.fixture
def start(tmp_path: Path, program: Callable[[str], str]) -> Any:
    guests: list[Guest] = []

    def starter(runner: str, big_endian: bool, prologue: list[str] | None = None) -> Guest:
        path = tmp_path / "guest"
        path.write_bytes(build(big_endian, prologue or []))
        path.chmod(0o755)
        command = RUNS[runner] or [program("qemu-mips" if big_endian else "qemu-mipsel")]
        guests.append(Guest([*command, str(path)], big_endian))
        return guests[-1]

    yield starter
    for guest in guests:
        guest.process.kill()
        guest.process.communicate()


@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("runner", RUNS)
def test_the_sender_is_known(runner: str, big_endian: bool, start: Any) -> None:
    guest = start(runner, big_endian)
    guest.process.send_signal(signal.SIGUSR1)
    assert guest.words(5) == (USR1, SI_USER, 0, os.getpid(), os.getuid())


@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("runner", RUNS)
def test_values_of_queued_signals_arrive_all_and_in_order(runner: str, big_endian: bool, start: Any) -> None:
    guest = start(runner, big_endian)
    values = range(VALUE, VALUE + 20)
    number = HOST_QUEUED.get(runner, QUEUED)
    for value in values:
        assert libc.sigqueue(guest.process.pid, number, ctypes.c_void_p(value)) == 0
    for value in values:
        assert guest.words(6) == (QUEUED, SI_QUEUE, 0, os.getpid(), os.getuid(), value)


@pytest.mark.parametrize("runner", ["interpreter", "reference"])
def test_timers_say_which_and_what(runner: str, start: Any) -> None:
    guest = start(runner, True, call(_SETITIMER, 0, str(_INTERVAL), 0))
    assert guest.words(3) == (ALRM, SI_KERNEL, 0)
    create = call(_TIMER_CREATE, 1, str(_EVENT), str(_TIMER))
    start_timer = [f"lw r4, {_TIMER}(r16)", "addu r5, r0, r0"]
    start_timer += [f"addiu r6, r16, {_SPECIFICATION}", "addu r7, r0, r0", *call(_TIMER_SETTIME)]
    guest = start(runner, True, [*create, *start_timer])
    number, code, errno, timer, overrun, value = guest.words(6)
    assert (number, code, errno, overrun, value) == (QUEUED, SI_TIMER, 0, 0, VALUE)
    assert timer < 1000


HOST_CLD_KILLED, HOST_CLD_EXITED, HOST_POLL_IN, HOST_SI_SIGIO = 2, 1, 1, -5


@pytest.mark.parametrize(
    ("number", "code", "union", "expected"),
    [
        pytest.param(
            *(signal.SIGCHLD, HOST_CLD_EXITED, struct.pack("=IIiiqq", 10, 20, 30, 0, 40, 50)),
            SignalInfo(18, 1, (10, 20, 30, 40, 50)),
            id="child exited",
        ),
        pytest.param(
            *(signal.SIGCHLD, HOST_CLD_KILLED, struct.pack("=IIiiqq", 10, 20, signal.SIGUSR1, 0, 4, 5)),
            SignalInfo(18, 2, (10, 20, USR1, 4, 5)),
            id="child killed",
        ),
        pytest.param(
            *(signal.SIGIO, HOST_POLL_IN, struct.pack("=qi20x", 0x41, 5)),
            SignalInfo(22, 1, (0x41, 5)),
            id="input",
        ),
        pytest.param(
            *(40, HOST_SI_SIGIO, struct.pack("=qi20x", 0x41, 5)), SignalInfo(40, -5, (0x41, 5)), id="F_SETSIG"
        ),
        pytest.param(
            *(36, -2, struct.pack("=iiq16x", 3, 2, -1)), SignalInfo(36, -3, (3, 2, 0xFFFF_FFFF)), id="timer"
        ),
        pytest.param(16, 0, bytes(32), None, id="SIGSTKFLT, which MIPS does not have"),
    ],
)
def test_other_kinds(number: int, code: int, union: bytes, expected: SignalInfo | None) -> None:
    assert SignalInfo.from_host(number, code, union) == expected
