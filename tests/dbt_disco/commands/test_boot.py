"""`dbt-disco boot` as a user sees it."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dbt_disco.commands.command import REPOSITORY, Done, command, launcher
from tests.dbt_disco.commands.terminal_session import TerminalSession
from tests.dbt_disco.virtual_machine.bare_programs import (
    ECHO,
    ENDLESS,
    HELLO,
    POLLING_ECHO,
    PREBUILT,
    monitor_call,
    raw_image,
)

Program = Callable[..., Path]


def boot(*words: object, **options: object) -> Done:
    return command("boot", "--memory", "4M", *words, **{"stdin": subprocess.DEVNULL, **options})


def start(*words: object, **options: object) -> subprocess.Popen[bytes]:
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(launcher("boot", "--memory", "4M", *words), cwd=REPOSITORY, **settings)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Makes a file of a program for the bare machine."""

    def make(*lines: str) -> Path:
        path = tmp_path / "program"
        path.write_bytes(raw_image(*lines))
        return path

    return make


# Output and exit status.


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
@pytest.mark.parametrize("clock", ["host", "instructions"])
@pytest.mark.parametrize("byte_order", ["mipsel", "mips"])
def test_hello(byte_order: str, clock: str, engine: str) -> None:
    done = boot("--kernel", PREBUILT / byte_order / "system" / "hello", "--clock", clock, "--engine", engine)
    assert done == Done(0, "Hello from bare metal.\n", "")


def test_the_reference_engine_brings_its_clock() -> None:
    done = boot("--kernel", HELLO, "--engine", "reference", "--stats=json")
    statistics = json.loads(done.errors)
    assert (done.status, done.output) == (0, "Hello from bare metal.\n")
    assert (statistics["engine"], statistics["clock"]) == ("reference", "instructions")
    assert statistics["instructions"] > 100


def test_the_translator_translates_before_anything_runs() -> None:
    """Most of what runs once or twice; no region can contain everything."""
    image = PREBUILT / "mipsel" / "system" / "delay_slots"
    done = boot("--kernel", image, "--engine", "translator", "--stats=json")
    statistics = json.loads(done.errors)
    assert done.output.endswith(" passed, 0 failed\n")
    by_tier = statistics["instructions_by_tier"]
    assert by_tier["translated"] > 5 * by_tier["interpreter"]
    assert statistics["failures"] == []


def test_halt() -> None:
    assert boot("--kernel", PREBUILT / "mipsel" / "system" / "halt") == Done(0, "Halting.\n", "")


def test_the_guests_own_status() -> None:
    assert boot("--kernel", PREBUILT / "mipsel" / "system" / "monitor_call_power_off") == Done(42, "", "")


def test_failure_has_a_reason(program: Program) -> None:
    done = boot("--kernel", program("lui r8, 0xbf00", "jr r8", "nop"))
    assert done.status == 3
    assert "no memory, at physical 0x1f000000" in done.error_line()


def test_output_is_the_guests_bytes(program: Program) -> None:
    """All of them, unchanged, without a line's end, and before the reset."""
    text = ("lui r4, 0x8010", "addiu r4, r4, 0x100", "addiu r5, r0, 256", *monitor_call(1))
    reset = ("lui r8, 0xbf00", "addiu r9, r0, 0x42", "sw r9, 0x500(r8)", "nop")
    kernel = program(*text, *reset)
    kernel.write_bytes(kernel.read_bytes().ljust(0x100, b"\0") + bytes(range(256)))
    done = subprocess.run(
        launcher("boot", "--kernel", kernel), cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, bytes(range(256)), b"")


def test_output_without_a_line_end_comes_soon(program: Program) -> None:
    """The guest never idles, and never ends a line."""
    with start("--kernel", program(*POLLING_ECHO), stdin=subprocess.PIPE) as guest:
        assert guest.stdin is not None and guest.stdout is not None
        guest.stdin.write(b"?")
        guest.stdin.flush()
        assert guest.stdout.read(1) == b"?"
        guest.stdin.write(b"q")
        guest.stdin.close()
        assert guest.wait(20) == 0


def test_serial_file(tmp_path: Path) -> None:
    path = tmp_path / "a,b"
    assert boot("--kernel", HELLO, "--serial", f"file:{path}") == Done(0, "", "")
    assert path.read_text() == "Hello from bare metal.\n"


def test_terminals_of_their_own_are_named_by_purpose() -> None:
    done = boot("--kernel", HELLO, "--serial", "pty", "--virtio-console", "pty")
    names = re.findall(r"^dbt-disco: the (.*) is /dev/pts/[0-9]+$", done.errors, re.MULTILINE)
    assert names == ["serial line", "virtio console"]


def test_serial_file_that_cannot_be_written() -> None:
    done = boot("--kernel", HELLO, "--serial", "file:/dev/full")
    assert done == Done(1, "", "dbt-disco: --serial file:/dev/full: No space left on device\n")


def test_nobody_reads_the_output(program: Program) -> None:
    with start("--kernel", program(*ENDLESS["printing"]), stdin=subprocess.DEVNULL) as guest:
        assert guest.stdout is not None and guest.stderr is not None
        guest.stdout.read(1)
        guest.stdout.close()
        assert guest.wait(20) == -signal.SIGPIPE
        assert guest.stderr.read() == b""


# Input.


def test_input_and_its_end(program: Program) -> None:
    """A guest that has had its input goes on, and needs no processor."""
    with start("--kernel", program(*ECHO), stdin=subprocess.PIPE) as guest:
        assert guest.stdin is not None and guest.stdout is not None
        guest.stdin.write(b"abc\1x\3")  # Ctrl-A is for terminals
        guest.stdin.close()
        assert guest.stdout.read(6) == b"abc\1x\3"
        assert_idle(guest)
        guest.terminate()
        assert guest.wait(20) == 128 + signal.SIGTERM


@pytest.mark.parametrize("path", ["/dev/null", "a file"])
def test_input_that_is_always_readable(program: Program, tmp_path: Path, path: str) -> None:
    if path == "a file":
        path = str(tmp_path / "input")
        Path(path).write_bytes(b"0123456789" * 1000 + b"!")
    with open(path, "rb") as input_file, start("--kernel", program(*ECHO), stdin=input_file) as guest:
        assert guest.stdout is not None
        assert guest.stdout.read(Path(path).stat().st_size) == Path(path).read_bytes()
        assert_idle(guest)
        guest.terminate()
        assert guest.wait(20) == 128 + signal.SIGTERM


def assert_idle(process: subprocess.Popen[bytes]) -> None:
    """The process takes no notable processor time."""

    def ticks() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.5)
    before = ticks()
    time.sleep(1)
    assert ticks() - before <= 0.1 * os.sysconf("SC_CLK_TCK")
    assert process.poll() is None


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("what", ["a branch to itself", "waiting for a device that says nothing"])
def test_signals(program: Program, what: str, number: signal.Signals) -> None:
    kernel = program("lui r8, 0xbf00", "addiu r9, r0, 0x2e", "sb r9, 0x900(r8)", *ENDLESS[what])
    with start("--kernel", kernel, stdin=subprocess.DEVNULL) as guest:
        assert guest.stdout is not None
        assert guest.stdout.read(1) == b"."
        guest.send_signal(number)
        before = time.monotonic()
        assert guest.wait(20) == 128 + number
        assert time.monotonic() - before < 2


def test_signal_while_nobody_reads_the_output(program: Program) -> None:
    with start("--kernel", program(*ENDLESS["printing"]), stdin=subprocess.DEVNULL) as guest:
        assert guest.stdout is not None
        guest.stdout.read(1)
        time.sleep(1)  # the pipe is full
        guest.terminate()
        assert guest.wait(20) == 128 + signal.SIGTERM


def test_ignored_signals_stay_ignored(program: Program) -> None:
    """As `nohup` has it."""
    words = launcher("boot", "--kernel", program(*ECHO))
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as guest:
        assert guest.stdin is not None and guest.stdout is not None
        for text in (b"a", b"b"):
            guest.stdin.write(text)
            guest.stdin.flush()
            assert guest.stdout.read(1) == text
            guest.send_signal(signal.SIGHUP)
        guest.stdin.write(b"q")
        guest.stdin.flush()
        assert guest.wait(20) == 0


# The terminal.


def test_keys_go_to_the_guest_and_the_terminal_comes_back(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO))) as session:
        session.wait_until_raw()
        session.type("abc\r\x03\x1a\x1cdef")  # not even Ctrl-C, Ctrl-Z and Ctrl-\ are for anybody else
        session.wait_for("abc\r\x03\x1a\x1cdef")
        session.type("\x01\x01.")
        session.wait_for("\x01.")
        session.type("q")
        assert session.end() == 0
        assert session.settings() == session.settings_before


@pytest.mark.parametrize("what", ENDLESS)
def test_leaving_any_guest(program: Program, what: str) -> None:
    with TerminalSession(("boot", "--kernel", program(*ENDLESS[what]))) as session:
        session.wait_until_raw()
        time.sleep(0.1)
        before = time.monotonic()
        session.type("typed ahead, and nobody wants it\x01x")
        assert session.end() == 3
        assert time.monotonic() - before < 5
        assert session.screen.replace("\0", "").endswith("\r\ndbt-disco: stopped from the console\r\n")
        assert session.settings() == session.settings_before


def test_help(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO))) as session:
        session.wait_until_raw()
        session.type("\x01h")
        session.wait_for("Ctrl-A x")
        session.wait_for("Ctrl-A Ctrl-A send Ctrl-A")
        session.type("still here")
        session.wait_for("still here")


PROMPT = "(dbt-disco) "
DIALOGUE = (
    ("help\n", ("info registers", "info tlb", "info devices", "info vm", "continue", "quit")),
    ("info registers\n", ("pc 80100014", "$t0  bf000000", "$t2  00000061", "status              00001000")),
    ("info tlb\n", ("no entry is in use", "wired 0")),
    ("info devices\n", ("1f000900 serial IP4: Uart", "interrupt_enable 0x1", "1f000500 reset")),
    ("info vm\n", ("append said to the kernel", "cpu 24Kf, little-endian", "exits: wait")),
    ("info nonsense\n", ("info shows registers, tlb, devices, vm",)),
    ("nonsense\n", ("there is no command 'nonsense'",)),
    ("\n", ("",)),
    ("discarded\x03", ("",)),
)


def test_prompt(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO), "--append", "said to the kernel")) as session:
        session.wait_until_raw()
        session.type("a")
        session.wait_for("a")
        session.type("\x01c")
        session.wait_for(PROMPT)
        assert not session.is_raw()
        for line, expected in DIALOGUE:
            session.type(line)
            answer = session.wait_for(PROMPT)
            assert [part for part in expected if part not in answer] == [], answer
        session.type("continue\n")
        session.wait_until_raw()
        session.type("b")
        session.wait_for("b")
        session.type("\x01c")
        session.wait_for(PROMPT)
        session.type("\x04")  # Ctrl-D goes on, too
        session.wait_until_raw()
        session.type("\x01c")
        session.wait_for(PROMPT)
        session.type("half a line\x01c")  # as does what led here
        session.wait_until_raw()
        session.type("c")
        session.wait_for("\nc")
        session.type("\x01c")
        session.wait_for(PROMPT)
        session.type("quit\n")
        assert session.end() == 3
        assert session.settings() == session.settings_before


def test_keys_at_the_prompt(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO))) as session:
        session.wait_until_raw()
        session.type("\x01c")
        session.wait_for(PROMPT)
        session.type("\x01h")
        assert "info registers" in session.wait_for(PROMPT)
        session.type("\x01?")
        assert "info registers" in session.wait_for(PROMPT)
        session.type("\x01#")  # not a key
        assert "info" not in session.wait_for(PROMPT)
        session.type("\x01")
        time.sleep(0.1)
        session.type("x")
        assert session.end() == 3
        assert session.settings() == session.settings_before


@pytest.mark.parametrize("at_prompt", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_restore_the_terminal(program: Program, number: signal.Signals, at_prompt: bool) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO))) as session:
        session.wait_until_raw()
        if at_prompt:
            session.type("\x01c")
            session.wait_for(PROMPT)
        session.signal(number)
        assert session.end() == 128 + number
        assert session.settings() == session.settings_before


def test_stopped_and_continued(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO))) as session:
        session.wait_until_raw()
        session.signal(signal.SIGTSTP)
        _, status = os.waitpid(session.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert session.settings() == session.settings_before
        session.signal(signal.SIGCONT)
        session.wait_until_raw()
        session.type("back")
        session.wait_for("back")


def test_an_error_restores_the_terminal(program: Program) -> None:
    """Here, standard output that cannot be written."""
    words = launcher("boot", "--kernel", program(*ECHO))
    with TerminalSession(("boot", "--kernel", HELLO)) as session:
        session.end()
        with open("/dev/full", "wb") as full:
            done = subprocess.Popen(
                words, cwd=REPOSITORY, stdin=session._theirs, stdout=full, stderr=subprocess.PIPE
            )
            session.wait_until_raw()
            session.type("x")
            _, errors = done.communicate(timeout=20)
        assert done.returncode == 1
        assert errors == b"dbt-disco: host error: No space left on device\n"
        assert session.settings() == session.settings_before


def test_signals_that_were_blocked_when_it_was_started() -> None:
    """The timer's is let through: guests' clocks would stand still."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, range(signal.SIGRTMIN, signal.SIGRTMAX))
    try:
        done = boot("--kernel", PREBUILT / "mipsel" / "system" / "timer_interrupt")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert done.status == 0
    assert done.output.endswith(" passed, 0 failed\n")


# Statistics.


def test_stats_as_text() -> None:
    done = boot("--kernel", HELLO, "--stats")
    assert done.output == "Hello from bare metal.\n"
    rows = dict(line.rsplit(maxsplit=1) for line in done.errors.splitlines()[1:])
    assert int(rows["instructions"].replace(",", "")) > 100
    assert int(rows["device accesses in native code"]) > 20


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
def test_stats_as_json(program: Program, engine: str) -> None:
    """A loop of three instructions, a million times."""
    loop = ("lui r8, 0x000f", "ori r8, r8, 0x4240", "loop:", "addiu r8, r8, -1", "bne r8, r0, loop", "nop")
    done = boot("--kernel", program(*loop, *monitor_call(3)), "--engine", engine, "--stats=json")
    statistics = json.loads(done.errors)
    assert statistics["engine"] == engine
    assert statistics["instructions"] == 2 + 3 * 1_000_000 + 2
    assert sum(statistics["instructions_by_tier"].values()) == statistics["instructions"]
    assert statistics["exits"]["monitor_call"] == 1
    assert statistics["tlb"] == {"refills": 0, "second_level_hits": 0, "fills": 1}
    assert statistics["seconds"]["run"] > 0


def test_stats_of_idling(program: Program) -> None:
    with start("--kernel", program(*ECHO), "--stats=json", stdin=subprocess.PIPE) as guest:
        assert guest.stdin is not None and guest.stdout is not None and guest.stderr is not None
        guest.stdin.write(b"a")
        guest.stdin.flush()
        guest.stdout.read(1)
        time.sleep(0.5)
        guest.stdin.write(b"q")
        guest.stdin.close()
        seconds = json.loads(guest.stderr.read())["seconds"]
        assert 0.4 < seconds["idle"] < seconds["run"]


def test_time_at_the_prompt_is_not_the_guests(program: Program) -> None:
    with TerminalSession(("boot", "--kernel", program(*ECHO), "--stats")) as session:
        session.wait_until_raw()
        session.type("\x01c")
        session.wait_for(PROMPT)
        time.sleep(3)
        session.type("info vm\n")
        assert seconds_of_running(session.wait_for(PROMPT)) < 2
        session.type("quit\n")
        assert session.end() == 3
        assert seconds_of_running(session.screen[session.screen.rindex("stopped") :]) < 2


def seconds_of_running(statistics: str) -> float:
    found = re.search(r"^seconds that it ran +(\S+)", statistics, re.MULTILINE)
    assert found is not None
    return float(found[1])


# Options.


def test_devices_and_memory(program: Program, tmp_path: Path) -> None:
    """The type of the device in each slot, and memory of the size given; the clock's interrupt is not shared."""
    disk, output = tmp_path / "disk", tmp_path / "output"
    disk.write_bytes(bytes(512))
    slots = range(6)
    store = ("sw r9, 0(r10)", "addiu r10, r10, 4", "nop")
    kernel = program(
        "lui r8, 0xbf01",
        "lui r10, 0x807f",  # the last 64 KB of 8 MB
        *(line for slot in slots for line in (f"lw r9, {0x200 * slot + 8}(r8)", *store)),
        "lui r4, 0x807f",
        f"addiu r5, r0, {4 * len(slots)}",
        *monitor_call(1),
        *monitor_call(3),
    )
    devices = ("--drive", f"file={disk}", "--rng", "--balloon", "--virtio-console", f"file:{output}")
    done = subprocess.run(
        launcher("boot", "--kernel", kernel, "-m", "8192K", *devices),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    block, entropy, balloon, console, none = 2, 4, 5, 3, 0
    assert struct.unpack("<6I", done.stdout) == (block, entropy, balloon, none, console, none)


def test_cpus(program: Program) -> None:
    """Config1.FP, and the number of TLB entries."""
    for cpu, has_fpu, entries in (("24Kf", 1, 64), ("24Kf-16", 1, 16), ("24Kc", 0, 64), ("24Kc-16", 0, 16)):
        kernel = program("mfc0.config1 r4", *monitor_call(3))
        assert boot("--kernel", kernel, "--cpu", cpu).status & 1 == has_fpu
        kernel = program("mfc0.config1 r4", "srl r4, r4, 25", "andi r4, r4, 63", *monitor_call(3))
        assert boot("--kernel", kernel, "--cpu", cpu).status == entries - 1


def test_a_disk_in_use(program: Program, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    drive = ("--drive", f"file={disk},mode=exclusive")
    with start("--kernel", program(*ECHO), *drive, stdin=subprocess.PIPE) as guest:
        assert guest.stdin is not None and guest.stdout is not None
        guest.stdin.write(b"a")
        guest.stdin.flush()
        guest.stdout.read(1)
        done = boot("--kernel", HELLO, *drive)
        assert done.status == 1
        assert str(guest.pid) in done.error_line()
        guest.terminate()


# Bad input.


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        ((), 2, "give --kernel FILE"),
        (("fedora",), 2, "invalid choice: 'fedora'"),
        (("--dir", "x", "--kernel", HELLO), 2, "boot debian"),
        (("debian", "--dir", "MISSING"), 1, "fetch debian --dir "),
        (("--kernel", "MISSING"), 1, "/MISSING: No such file"),
        (("--kernel", "/"), 1, "a directory"),
        (("--kernel", "/dev/zero"), 1, "not a regular file"),
        (("--kernel", "/bin/sh"), 1, "not for MIPS"),
        (("--kernel", HELLO, "--initrd", "MISSING"), 1, "/MISSING: No such file"),
        (("--kernel", "PIPE"), 1, "not a regular file"),
        (("--kernel", HELLO, "--initrd", "PIPE"), 1, "not a regular file"),
        (("--kernel", HELLO, "--drive", "file=PIPE"), 1, "neither a file nor a block device"),
        (("--kernel", HELLO, "--drive", "file=PIPE,format=raw,mode=exclusive"), 1, "neither a file"),
        (("--kernel", HELLO, "--initrd", "BIG"), 1, "more --memory"),
        (("--kernel", HELLO, "--append", "a\nb"), 1, "printable ASCII"),
        (("--kernel", HELLO, "--append", "x" * 5000), 1, "shorten it"),
        (("--kernel", HELLO, "-m", "much"), 2, "K, M or G"),
        (("--kernel", HELLO, "-m", "0"), 1, "memory size"),
        (("--kernel", HELLO, "-m", "100G"), 1, "at most"),
        (("--kernel", HELLO, "--drive", "file=MISSING"), 1, "/MISSING: No such file"),
        (("--kernel", HELLO, "--drive", "nonsense"), 2, "--drive nonsense"),
        (("--kernel", HELLO, "--drive", "file=UNALIGNED"), 1, "not a multiple of 512"),
        (
            ("--kernel", HELLO, "--drive", "file=BIG", "--drive", "file=BIG,mode=exclusive"),
            1,
            "more than once",
        ),
        (("--kernel", HELLO, "--drive", "file=BIG,mode=overlay:BIG"), 1, "more than once"),
        (("--kernel", HELLO, "--drive", "file=BIG,mode=overlay:UNALIGNED"), 1, "not an overlay"),
        (("--kernel", HELLO, "--net", "tap"), 2, "none, or user"),
        (("--kernel", HELLO, "--net", "user,hostfwd=tcp:22-22"), 2, "ADDRESS"),
        (("--kernel", HELLO, "--serial", "nowhere"), 2, "stdio, file:FILE"),
        (("--kernel", HELLO, "--serial", "file:MISSING/x"), 1, "No such file"),
        (("--kernel", HELLO, "--virtio-console", "stdio"), 2, "only one"),
        (("--kernel", HELLO, "--cpu", "R3000"), 2, "invalid choice"),
        (("--kernel", HELLO, "--engine", "reference", "--clock", "host"), 1, "--clock instructions"),
    ],
)
def test_bad_input(tmp_path: Path, words: tuple[object, ...], status: int, part: str) -> None:
    for name, size in (("BIG", 8 << 20), ("UNALIGNED", 1000)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
    os.mkfifo(tmp_path / "PIPE")
    given = [re.sub("BIG|UNALIGNED|MISSING|PIPE", rf"{tmp_path}/\g<0>", str(word)) for word in words]
    done = boot(*given)
    assert (done.status, done.output) == (status, "")
    assert part in done.error_line()
