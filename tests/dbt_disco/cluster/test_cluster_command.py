"""`dbt-disco cluster` as a user has it: up in the background, ps, console, down."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbt_disco.debian.guest_files import GuestFiles
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, HELLO, raw_image

Command = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    runtime = tmp_path / "runtime"
    runtime.mkdir(exist_ok=True)
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[Command]:
    def run(*words: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dbt_disco", "cluster", *map(str, words)]
        return subprocess.run(
            command, env=environment, input=typed, capture_output=True, text=True, timeout=100, check=False
        )

    yield run
    for socket in Path(environment["XDG_RUNTIME_DIR"]).glob("dbt-disco/*.socket"):
        run("down", "--socket", socket)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "echo").write_bytes(raw_image(*ECHO))
    file = tmp_path / "some.toml"
    file.write_text(
        f"""
[machine]
cpus_per_node = 2
memory_per_node = "64M"
[vms.echo]
kernel = "echo"
count = 2
memory = "4M"
[vms.hello]
kernel = "{HELLO}"
memory = "4M"
"""
    )
    return file


def states(listing: str) -> dict[str, str]:
    """VM → state, of what ps printed."""
    title, *rows = listing.splitlines()
    assert title.split() == ["VM", "STATE", "NODE", "MEMORY", "UP", "CPU", "RESTARTS", "REASON"]
    return {row.split()[0]: row.split()[1] for row in rows}


def wait_for(cluster: Command, wanted: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while (found := states(cluster("ps").stdout)) != wanted:
        assert time.monotonic() < deadline, found


def test_up_in_the_background_ps_console_and_down(
    cluster: Command, file: Path, environment: dict[str, str]
) -> None:
    up = cluster("up", file, "--detach")
    assert up.returncode == 0, up.stderr
    assert up.stdout.startswith("cluster some: up in process ")
    again = cluster("up", file, "--detach")
    assert again.returncode == 1 and "another cluster answers there" in again.stderr
    wait_for(cluster, {"echo-1": "idle", "echo-2": "idle", "hello": "stopped"})
    listed = json.loads(cluster("ps", "--json").stdout)
    assert [vm["reason"] for vm in listed] == ["", "", "the guest reset the machine"]
    assert cluster("console", "hello").stdout == "Hello from bare metal.\n"
    lines = cluster("console", "hello", "--log").stdout
    assert lines.endswith(" Hello from bare metal.\n") and lines.startswith("20")
    shown = cluster("console", "echo-1", typed="some text, and q")
    assert shown.returncode == 0 and shown.stdout == "some text, and q"
    assert cluster("pause", "echo-2").returncode == 0
    wait_for(cluster, {"echo-1": "stopped", "echo-2": "paused", "hello": "stopped"})
    refused = cluster("pause", "echo-1")
    assert refused.returncode == 1
    assert refused.stderr == "dbt-disco: echo-1 is stopped: it does not run\n"
    assert cluster("audit").stdout == "everything agrees\n"
    assert cluster("down").returncode == 0
    assert cluster("ps").stderr.startswith("dbt-disco: no cluster runs;")
    runtime = Path(environment["XDG_RUNTIME_DIR"]) / "dbt-disco"
    log = (runtime / "some.log").read_text()
    assert "echo-2: paused\n" in log and log.endswith(" cluster some: down\n")
    assert not list(runtime.glob("*.socket"))


def test_in_the_foreground_it_ends_with_its_last_guest(cluster: Command, tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text(f'[vms.hello]\nkernel = "{HELLO}"\nmemory = "4M"\n')
    done = cluster("up", file)
    assert done.returncode == 0 and not done.stdout
    assert "hello: stopped: the guest reset the machine\n" in done.stderr
    file.write_text('[vms.none]\nkernel = "none"\n')
    failed = cluster("up", file)
    assert failed.returncode == 1 and "none: failed: " in failed.stderr


def test_a_signal_ends_it_in_an_orderly_way(
    file: Path, environment: dict[str, str], cluster: Command
) -> None:
    command = [sys.executable, "-m", "dbt_disco", "cluster", "up", str(file)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "echo-2: running" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read().endswith(" cluster some: down\n")
        assert process.wait(60) == 0


@pytest.mark.parametrize("detached", [(), ("--detach",)])
def test_mistakes_are_one_line(cluster: Command, tmp_path: Path, detached: tuple[str, ...]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[vms.a]\nkernal = 5\n")
    wrong = cluster("up", file, *detached)
    assert wrong.returncode == 2
    assert wrong.stderr == f"dbt-disco: {file}:1: vms.a.kernel: it is missing\n"


def test_several_clusters_are_told_apart_by_name(cluster: Command, tmp_path: Path) -> None:
    (tmp_path / "echo").write_bytes(raw_image(*ECHO))
    for name in ("one", "two"):
        file = tmp_path / f"{name}.toml"
        file.write_text('[machine]\nmemory_per_node = "16M"\n[vms.echo]\nkernel = "echo"\nmemory = "4M"\n')
        assert cluster("up", file, "--detach").returncode == 0
    unclear = cluster("ps")
    assert unclear.returncode == 2
    assert unclear.stderr == "dbt-disco: several clusters run: one, two; say which with --cluster NAME\n"
    assert cluster("down", "--cluster", "one").returncode == 0
    assert states(cluster("ps").stdout).keys() == {"echo"}


def test_the_console_on_a_terminal(cluster: Command, file: Path, environment: dict[str, str]) -> None:
    assert cluster("up", file, "--detach").returncode == 0
    wait_for(cluster, {"echo-1": "idle", "echo-2": "idle", "hello": "stopped"})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dbt_disco", "cluster", "console", "echo-1"]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)

    def wait_for_text(text: bytes) -> None:
        shown = b""
        while text not in shown:
            shown += os.read(ours, 1024)

    wait_for_text(b"Ctrl-A x leaves it")
    time.sleep(0.2)  # it makes the terminal raw after that
    os.write(ours, b"\x03abc")
    wait_for_text(b"\x03abc")
    os.write(ours, b"\x01x")
    assert process.wait(60) == 0
    os.close(ours)
    assert states(cluster("ps").stdout)["echo-1"] == "idle"


def test_top_once_and_as_json(cluster: Command, file: Path, environment: dict[str, str]) -> None:
    assert cluster("up", file, "--detach").returncode == 0
    wait_for(cluster, {"echo-1": "idle", "echo-2": "idle", "hello": "stopped"})
    top = [sys.executable, "-m", "dbt_disco", "top", "--interval", "0.2"]
    shown = subprocess.run(
        [*top, "--once"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout.startswith("cluster some, up ") and not shown.stderr
    table = shown.stdout.split("\n\n")[1].splitlines()
    rows = {line.split()[0]: line.split() for line in table}
    assert rows["echo-1"][1:3] == ["idle", "0"] and rows["hello"][1] == "stopped"
    with subprocess.Popen([*top, "--json"], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert looks[0]["up"] < looks[1]["up"]
        assert [vm["vm"] for vm in looks[1]["vms"]] == ["echo-1", "echo-2", "hello"]
        assert 0 <= looks[1]["vms"][0]["percent"] <= 100
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) == -signal.SIGINT
    with subprocess.Popen(top, env=environment, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("cluster some, up ")
        assert cluster("down").returncode == 0
        process.stdout.read()
        hint, last_words = process.stderr.read().splitlines()
        assert hint == "dbt-disco: no terminal to fill: plain text; --json is for programs"
        assert last_words == "dbt-disco: cluster some has ended" and process.wait(60) == 0
    wrong = subprocess.run(
        [*top, "--interval", "0"], env=environment, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1


@pytest.mark.slow
def test_two_debian_guests_beside_each_other(cluster: Command, tmp_path: Path, debian: GuestFiles) -> None:
    file = tmp_path / "debian.toml"
    file.write_text('[machine]\nnodes = 2\n[vms.d]\nkernel = "debian"\ncount = 2\nmemory = "128M"\n')
    assert cluster("up", file, "--detach").returncode == 0
    deadline = time.monotonic() + 120
    for vm in ("d-1", "d-2"):
        while "root@debian:~#" not in (shown := cluster("console", vm, "--log").stdout):
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)
    assert cluster("audit").stdout == "everything agrees\n"
    assert cluster("stop", "d-1").returncode == 0
    last = cluster("console", "d-1", "--log").stdout
    assert "Emergency Sync complete" in last and last.rstrip().endswith("reboot: Power down")
    assert "the guest halted" in cluster("ps").stdout
    assert cluster("down").returncode == 0
