"""/proc/self and /proc/cpuinfo tell of the guest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.dbt_disco.linux.idle_process import BREAK, DATA, DATA_SIZE, STACK_SIZE, STACK_TOP, IdleProcess

SIGUSR1, SIGHUP, SIGPIPE = 16, 1, 13
"""The guest's numbers."""
SIG_IGN = 1
TOTAL = DATA_SIZE + STACK_SIZE


@pytest.fixture
def guest() -> Iterator[IdleProcess]:
    process = IdleProcess(big_endian=True)
    yield process
    process.close()


def status(guest: IdleProcess) -> dict[str, str]:
    lines = guest.read_file("/proc/self/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def kib(text: str) -> int:
    number, unit = text.split()
    assert unit == "kB"
    return int(number)


def test_status_is_about_the_guests_memory(guest: IdleProcess) -> None:
    status(guest)  # reading has the buffers touched
    before = status(guest)
    assert before["Name"] == "program"
    assert before["Pid"] == str(os.getpid())
    assert before["Threads"] == "1"
    assert kib(before["VmSize"]) == TOTAL >> 10
    assert kib(before["VmStk"]) == STACK_SIZE >> 10
    assert kib(before["VmData"]) == DATA_SIZE >> 10
    for page in range(100):
        guest.touch(STACK_TOP - STACK_SIZE + 4096 * page)
    after = status(guest)
    assert kib(after["VmRSS"]) - kib(before["VmRSS"]) == 400
    assert kib(after["RssAnon"]) - kib(before["RssAnon"]) == 400
    assert guest.call("brk", BREAK + 0x10000) == BREAK + 0x10000
    assert kib(status(guest)["VmData"]) == (DATA_SIZE + 0x10000) >> 10


def test_status_has_the_guests_signals(guest: IdleProcess) -> None:
    action = DATA + 64
    guest.memory.set_word(action + 4, 0x1234)
    assert guest.call("rt_sigaction", SIGUSR1, action, 0, 16) == 0
    guest.memory.set_word(action + 4, SIG_IGN)
    before = signal.getsignal(signal.SIGPIPE)
    try:
        assert guest.call("rt_sigaction", SIGPIPE, action, 0, 16) == 0
    finally:
        guest.process.signals.detach()
        assert signal.getsignal(signal.SIGPIPE) == before
    guest.process.signals.mask = 1 << SIGHUP - 1
    guest.call("kill", os.getpid(), SIGHUP)
    shown = status(guest)
    assert {name: int(shown[name], 16) for name in ("SigCgt", "SigIgn", "SigBlk", "ShdPnd")} == {
        "SigCgt": 1 << SIGUSR1 - 1,
        "SigIgn": 1 << SIGPIPE - 1,
        "SigBlk": 1 << SIGHUP - 1,
        "ShdPnd": 1 << SIGHUP - 1,
    }
    assert len(shown["SigCgt"]) == 32, "MIPS has 128 signals"


def test_stat(guest: IdleProcess) -> None:
    guest.call("prctl", 15, b"na) (me", 0, 0, 0)
    text = guest.read_file("/proc/self/stat")
    assert text.startswith(f"{os.getpid()} (na) (me) R {os.getppid()} ")
    fields = [None, None, *text.rpartition(")")[2].split()]
    assert len(fields) == 52
    assert int(fields[23 - 1] or 0) == TOTAL
    assert int(fields[28 - 1] or 0) == STACK_TOP - 64
    assert int(fields[47 - 1] or 0) == BREAK
    with open("/proc/self/stat") as file:
        host = file.read().rpartition(")")[2].split()
    assert fields[4:8] == host[2:6], "process group, session, terminal are the host's"


def test_statm(guest: IdleProcess) -> None:
    numbers = [int(word) for word in guest.read_file("/proc/self/statm").split()]
    assert len(numbers) == 7
    assert numbers[0] == TOTAL >> 12
    assert numbers[5] == TOTAL >> 12


@pytest.mark.parametrize(
    "directory",
    ["/proc/self", "/proc/thread-self", "/proc/{pid}", "/proc/self/task/{pid}", "/proc/{pid}/task/{pid}"],
)
def test_every_way_there(guest: IdleProcess, directory: str) -> None:
    directory = directory.format(pid=os.getpid())
    assert guest.read_file(f"{directory}/comm") == "program\n"
    assert guest.read_file(f"{directory}/cmdline") == "program\0argument\0"
    assert guest.read_file(f"{directory}/environ") == "NAME=value\0"
    assert "[stack]" in guest.read_file(f"{directory}/maps")
    assert guest.read_file(f"{directory}/status").startswith("Name:\tprogram\n")


def test_cpuinfo_is_of_a_mips(guest: IdleProcess) -> None:
    lines = guest.read_file("/proc/cpuinfo").splitlines()
    fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if line]
    assert fields.count(("cpu model", "MIPS 24Kc V0.0  FPU V0.0")) == os.cpu_count()
    assert ("isa", "mips1 mips2 mips32r1 mips32r2") in fields


def test_other_files_are_the_hosts(guest: IdleProcess) -> None:
    with open("/proc/self/oom_score_adj") as file:
        assert guest.read_file("/proc/self/oom_score_adj") == file.read()
