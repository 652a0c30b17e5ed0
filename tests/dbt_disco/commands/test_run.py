"""`dbt-disco run`: whose options they are, how errors look, what `--stats` says, and how fast it starts."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conformance.assembler import assemble
from tests.dbt_disco.commands.command import HELLO, HELLO_BIG_ENDIAN, QUEENS, REPOSITORY, command, launcher
from tests.dbt_disco.linux.elf_builder import ElfBuilder

ENGINES = ("reference", "interpreter", "translator", "auto")
PRINT_ARGUMENTS = (
    0x8FB0_0000,  # lw s0, 0(sp): argc
    0x27B1_0004,  # addiu s1, sp, 4: argv
    0x8E25_0000,  # next: lw a1, 0(s1)
    0x00A0_3021,  # move a2, a1
    0x80C8_0000,  # length: lb t0, 0(a2)
    0x1500_FFFE,  # bnez t0, length
    0x24C6_0001,  # addiu a2, a2, 1
    0x240A_000A,  # li t2, '\n'
    0xA0CA_FFFF,  # sb t2, -1(a2)
    0x00C5_3023,  # subu a2, a2, a1
    0x2404_0001,  # li a0, 1
    0x2402_0FA4,  # li v0, 4004: write
    0x0000_000C,  # syscall
    0x2610_FFFF,  # addiu s0, s0, -1
    0x1600_FFF3,  # bnez s0, next
    0x2631_0004,  # addiu s1, s1, 4
    0x2404_0000,  # li a0, 0
    0x2402_0FA1,  # li v0, 4001: exit
    0x0000_000C,  # syscall
)
"""Prints its arguments, one a line."""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A guest that prints its arguments."""
    return program(tmp_path / "echo", PRINT_ARGUMENTS)


def program(path: Path, code: tuple[int, ...]) -> Path:
    path.write_bytes(ElfBuilder(code=code).build())
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("guest", [HELLO, HELLO_BIG_ENDIAN])
def test_hello(guest: Path, engine: str) -> None:
    done = command("run", "--engine", engine, guest)
    assert done.status == 0
    assert done.output.startswith("Hello from a ")
    assert done.errors == ""


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("--strace", "x", "--engine", "y"), ["--strace", "x", "--engine", "y"]),
        (("--", "-h", "--"), ["--", "-h", "--"]),
        ((), []),
        (("--stats=json",), ["--stats=json"]),
        (("", "a b"), ["", "a b"]),
    ],
)
def test_everything_behind_the_program_is_the_guests(
    echo: Path, words: tuple[str, ...], arguments: list[str]
) -> None:
    done = command("run", "--engine", "interpreter", echo, *words)
    assert done.output.splitlines() == [str(echo), *arguments]
    assert done.errors == ""


def test_two_dashes_end_our_options(tmp_path: Path) -> None:
    guest = program(tmp_path / "-x", PRINT_ARGUMENTS)
    assert command("run", "--", "-x", "y", cwd=tmp_path, env=path_to_us()).output == "-x\ny\n"
    assert guest.exists()


def path_to_us() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY)}


def test_environment(debian_like_env: Path) -> None:
    done = command(
        *("run", "-E", "GREETING=hi there", "-E", "GONE", debian_like_env),
        env={"PATH": os.environ["PATH"], "GONE": "1", "KEPT": "2"},
    )
    variables = dict(line.split("=", 1) for line in done.output.splitlines())
    assert variables["GREETING"] == "hi there"
    assert variables["KEPT"] == "2"
    assert "GONE" not in variables


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C"}, {"LC_CTYPE": "C.UTF-8"}])
def test_what_python_adds_to_the_environment_is_not_the_guests(
    debian_like_env: Path, given: dict[str, str]
) -> None:
    """In the C locale, Python sets LC_CTYPE."""
    done = command("run", debian_like_env, env=given)
    assert dict(line.split("=", 1) for line in done.output.splitlines()) == given


@pytest.fixture
def debian_like_env(tmp_path: Path) -> Path:
    """A guest that prints its environment: the same loop as that over the arguments, from behind argv."""
    skip_arguments = (
        0x8FB0_0000,  # lw s0, 0(sp)
        0x27B1_0008,  # addiu s1, sp, 8
        0x0010_8080,  # sll s0, s0, 2
        0x0230_8821,  # addu s1, s1, s0: envp
        0x8E25_0000,  # next: lw a1, 0(s1)
        0x10A0_000F,  # beqz a1, end
        0x00A0_3021,  # move a2, a1
        *PRINT_ARGUMENTS[4:13],
        0x1000_FFF3,  # b next
        0x2631_0004,  # addiu s1, s1, 4
        *(0, 0, 0),
        *PRINT_ARGUMENTS[16:],
    )
    return program(tmp_path / "env", skip_arguments)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("run",), 2, "no PROGRAM given"),
        (("run", "--engine", "warp", HELLO), 2, "invalid choice: 'warp'"),
        (("run", "--eng", "auto", HELLO), 2, "unrecognized arguments: --eng"),
        (("run", "--trace-start", "0x400000", HELLO), 2, "--trace-start says nothing without --trace"),
        (("run", "--trace=insn", "--trace-start", "main", HELLO), 2, "'main' is no address"),
        (("run", "--lockstep=auto", HELLO), 2, "invalid pair of engines value: 'auto'"),
        (("run", "--lockstep", "--trace", "insn", HELLO), 2, "exclude each other"),
        (
            ("run", "--trace=insn", "--trace-start", "0x100000000", HELLO),
            2,
            "0x100000000 is no address of 32 bits",
        ),
        (("run", "-L", "/no/such", HELLO), 2, "'/no/such' is no directory"),
        (("run", "-L", "", HELLO), 2, "'' is no directory"),
        (("run", "-E", "=x", HELLO), 2, "the name is missing"),
        (("run", ""), 127, "'': no such file"),
        (("run", "two\nlines"), 127, r"two\nlines: no such file"),
        (
            ("run", "--trace=insn", "--trace-file", "/dev/full", HELLO),
            1,
            "/dev/full: cannot be written: No space",
        ),
        (("run", "--stats", "--stats-file", "/dev/full", HELLO), 1, "/dev/full: cannot be written: No space"),
        (("run", "/no/such/program"), 127, "/no/such/program: no such file"),
        (("run", "/"), 126, "/: is a directory"),
        (("run", sys.executable), 126, "a program for another machine"),
        (("run", REPOSITORY / "pyproject.toml"), 126, "no permission to execute it"),
        (("run", "--stats", "--stats-file", "/no/such/file", HELLO), 1, "/no/such/file: cannot write"),
    ],
)
def test_errors_are_one_line(words: tuple[object, ...], status: int, message: str) -> None:
    done = command(*words)
    assert message in done.error_line()
    assert done.status == status


@pytest.mark.parametrize(
    ("what", "value", "name"),
    [(resource.RLIMIT_AS, 2 << 30, "ulimit -v"), (resource.RLIMIT_FSIZE, 1 << 20, "ulimit -f")],
)
def test_limits_that_leave_no_room(what: int, value: int, name: str) -> None:
    done = command("run", HELLO, preexec_fn=lambda: resource.setrlimit(what, (value, value)))
    assert name in done.error_line()
    assert done.status == 126


def test_usage_without_a_command() -> None:
    done = command()
    assert done.status == 2
    assert "COMMAND" in done.errors
    assert command("--version").output.startswith("dbt-disco ")
    assert "no such command" in command("fly").errors or "invalid choice: 'fly'" in command("fly").errors


def test_an_internal_error_is_one_line(tmp_path: Path) -> None:
    broken = (
        "import sys; import dbt_disco.linux_guest as g\n"
        "def fail(*a, **k): raise RuntimeError('two\\nlines')\n"
        "g.LinuxGuest.run = fail\n"
        "from dbt_disco.command_line import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", broken, "run", str(HELLO)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 125
    assert done.stderr.startswith(
        "dbt-disco: internal error: RuntimeError: two lines; set DBT_DISCO_TRACEBACK=1"
    )
    assert done.stderr.count("\n") == 1


def test_interrupted_before_the_guest_runs() -> None:
    """Python's own handler is in place then; the command dies by the signal all the same."""
    early = (
        "import dbt_disco.commands.run as r, sys\ndef stop(*a): raise KeyboardInterrupt\nr._guest = stop\n"
    )
    words = [sys.executable, "-c", early + "from dbt_disco.command_line import main; sys.exit(main())"]
    done = subprocess.run([*words, "run", str(HELLO)], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == b""


def test_nobody_reads_the_help() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(launcher("run", "--help"), cwd=REPOSITORY, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode in (-signal.SIGPIPE, 0)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_interrupt_goes_to_the_guest(tmp_path: Path, engine: str) -> None:
    """An endless loop, and Ctrl-C as the terminal sends it."""
    loop = program(tmp_path / "loop", (0x1000_FFFF, 0))
    words = launcher("run", "--engine", engine, loop)
    child = subprocess.Popen(words, cwd=REPOSITORY, stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(1.5)
    os.killpg(child.pid, signal.SIGINT)
    assert child.stderr is not None
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait(20) == -signal.SIGINT


def statistics(*words: object) -> dict[str, object]:
    done = command("run", "--stats=json", *words)
    assert done.status == 0
    result: dict[str, object] = json.loads(done.errors)
    return result


def test_statistics_agree_between_engines(tmp_path: Path) -> None:
    """Every engine counts the same instructions; with nothing in the environment, so do we here."""
    counts = {}
    for engine in ("reference", "interpreter", "translator", "auto"):
        if engine == "reference":
            found = statistics("--engine", engine, HELLO)
            counts[engine] = found["instructions"]
            continue
        found = statistics("--engine", engine, QUEENS, 9)
        counts[engine] = found["instructions"]
        tiers = found["instructions_by_tier"]
        assert isinstance(tiers, dict)
        assert sum(tiers.values()) == found["instructions"]
        seconds = found["seconds"]
        assert isinstance(seconds, dict)
        assert 0 < seconds["native"] <= seconds["total"]
    assert counts["reference"] == statistics("--engine", "interpreter", HELLO)["instructions"]
    assert counts["interpreter"] == counts["translator"] == counts["auto"]
    assert int(str(counts["auto"])) > 500_000


def test_hot_code_is_translated_and_counted(tmp_path: Path) -> None:
    cache = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    first, second = (
        json.loads(command("run", "--stats=json", QUEENS, 1500, env=cache).errors) for _ in range(2)
    )
    assert first["translations"]["installed"] > first["translations"]["from_cache"] == 0
    assert first["instructions_by_tier"]["translated"] > first["instructions"] // 10
    assert second["translations"]["from_cache"] > 0
    assert second["instructions"] == first["instructions"]
    assert second["words_decoded"] == 0
    assert first["seconds"]["compile_worker"] > 0.01  # to start alone takes more
    counts = second["translations"]  # what gets hot just before the end may be asked for again
    assert (second["seconds"]["compile_worker"] == 0) == (counts["requested"] == counts["from_cache"])


@pytest.mark.parametrize(("engine", "tier"), [("interpreter", "interpreter"), ("translator", "translated")])
def test_native_time_is_shared_between_the_tiers(engine: str, tier: str) -> None:
    found = statistics("--engine", engine, QUEENS, 1500)
    seconds, samples = found["seconds"], found["samples"]
    assert isinstance(seconds, dict) and isinstance(samples, int)
    assert samples > 5
    assert seconds["interpreter"] + seconds["translated"] == pytest.approx(seconds["native"], abs=1e-5)
    assert seconds[tier] > 0.9 * seconds["native"]


def test_samples_do_not_disturb_the_guest() -> None:
    """Neither what it is told of signals and timers, nor what it waits for."""
    program = REPOSITORY / "guests" / "prebuilt" / "mipsel" / "linux" / "waiting"
    done = command("run", "--stats=json", program, "one argument", "")
    assert " passed, 0 failed" in done.output
    assert done.status == 0


def test_statistics_as_text(tmp_path: Path) -> None:
    path = tmp_path / "statistics"
    done = command("run", "--stats", "--stats-file", path, HELLO)
    assert done.errors == ""
    assert [line for line in path.read_text().splitlines() if line.startswith("instructions ")]


def test_our_own_output_is_out_of_the_guests_reach(tmp_path: Path) -> None:
    """The guest closes its standard error, as coreutils do at their end, and works in another directory."""
    code = (
        "lui r4, 0x40",
        "ori r4, r4, 0xa4",  # "/", behind the code
        "addiu r2, r0, 4012",  # chdir
        "syscall",
        "addiu r4, r0, 2",
        "addiu r2, r0, 4006",  # close
        "syscall",
        "addu r4, r0, r7",
        "addiu r2, r0, 4246",  # exit_group
        "syscall",
        "break",
        "break",
    )
    words = (*map(assemble, code), int.from_bytes(b"/\0\0\0", "little"))
    closes = program(tmp_path / "closes", words)
    done = command("run", "--strace", "--stats", closes, cwd=tmp_path, env=path_to_us())
    assert "close(2) = 0" in done.errors
    assert "+++ exited with 0 +++" in done.errors
    assert "\ninstructions  " in done.errors
    done = command("run", "--stats", "--stats-file", "found", closes, cwd=tmp_path, env=path_to_us())
    assert done.errors == ""
    assert "\ninstructions  " in (tmp_path / "found").read_text()


def test_standard_streams_that_are_closed(tmp_path: Path) -> None:
    """What has nowhere to go is dropped, and turns up nowhere else."""
    shell = 'exec "$@" 2>&-'
    words = ["sh", "-c", shell, "sh", *launcher("run", "--strace", HELLO)]
    done = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert done.stdout.count("\n") == 1
    assert done.returncode == 0
    words = ["sh", "-c", shell, "sh", *launcher("run", "/no/such")]
    done = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert (done.stdout, done.returncode) == ("", 127)


def test_no_cache_leaves_no_trace(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    assert command("run", "--no-cache", HELLO, env=environment).status == 0
    assert list(tmp_path.rglob("*")) == []


def test_start_up_imports_little() -> None:
    """The warm path is what makes hello world fast."""
    warm = command("run", HELLO)
    assert warm.status == 0
    words = [sys.executable, "-X", "importtime", *launcher("run", HELLO)[1:]]
    errors = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True).stderr
    imported = {line.rpartition("|")[2].strip() for line in errors.splitlines() if "|" in line}
    assert "dbt_disco.linux.process" in imported
    expensive = {
        "llvmlite",
        "capstone",
        "numpy",
        "rich",
        "elftools.elf.elffile",
        "subprocess",
        "json",
        "asyncio",
    }
    assert not imported & expensive


COST_OF_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def test_hello_is_cheap_and_small() -> None:
    """Processor time, which other processes on the machine do not change much; `bench` measures wall-clock time."""
    command("run", HELLO)
    # The peak that the host kernel reports of a process starts at that of the process that forked it.
    small_parent = [sys.executable, "-S", "-c", COST_OF_CHILD, *launcher("run", HELLO)]
    costs = []
    for _ in range(5):
        shown = subprocess.run(small_parent, cwd=REPOSITORY, capture_output=True, check=True).stdout
        costs.append([float(number) for number in shown.split()])
    assert min(seconds for seconds, _ in costs) < 0.35
    assert min(peak for _, peak in costs) < 130 << 10
