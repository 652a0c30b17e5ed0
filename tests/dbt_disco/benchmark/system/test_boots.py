"""The scenarios that boot Debian, with scripts in place of machines: which runs count, and which are wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.scenario import QEMU, Plan
from dbt_disco.benchmark.system.boot_to_shell import BootToShell
from dbt_disco.benchmark.system.root_disk_session import RootDiskSession
from dbt_disco.debian.guest_files import GuestFiles

SHELL = """
import os, pathlib
cache = pathlib.Path(os.environ["XDG_CACHE_HOME"], "dbt-disco", "0123456789abcdef0123")
found = sorted(path.name for path in cache.glob("*"))
with open({log!r}, "a") as log:
    print(*found, file=log)
cache.mkdir(parents=True, exist_ok=True)
(cache / "interpreter.o").touch()
(cache / "words").touch()
print("/ # ", end="", flush=True)
assert input() == "reboot -f"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(GuestFiles(tmp_path), tmp_path, [], "short", 1, 60)


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_cold_and_warm_boots(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold one finds the engine's own code alone; what is measured is what comes after some that fill the cache."""
    log = tmp_path / "log"
    scenario = BootToShell(plan)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    scenario._own_command = python(SHELL.format(log=str(log)))
    scenario._qemu_command = python("print('/ # ', flush=True); input()")
    for step in (*scenario.first_steps(), *scenario.repeat(), *scenario.repeat()):
        step.run()
    cold, warm = "interpreter.o", "interpreter.o words"
    assert log.read_text().splitlines() == ["", *[warm] * 3, cold, warm, cold, warm]
    for samples in scenario.samples.values():
        assert {side: len(times) for side, times in samples.times.items()} == {
            "cold": 2,
            QEMU: 2,
            "warm": 2,
        }
    to_shell, to_end = scenario.samples.values()
    for side in ("cold", "warm", QEMU):
        for shell, end in zip(to_shell.times[side], to_end.times[side], strict=True):
            assert shell.seconds < end.seconds


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("session: begins\r\none\r\nKernel panic\r\n", "has not come to its end: .*Kernel panic"),
        (
            "session: begins\r\nother\r\nsession: complete\r\n",
            "results differ: b'other.n', before .* b'one.n'",
        ),
    ],
)
def test_sessions_with_other_results(plan: Plan, printed: str, message: str) -> None:
    scenario = RootDiskSession(plan)
    scenario._results = b""
    good = "noise\r\nsession: begins\r\none\r\nsession: complete\r\nnoise"
    scenario._run(python(f"print({good!r})"), {}, "warm")
    with pytest.raises(GuestError, match=message):
        scenario._run(python(f"print({printed!r})"), {}, QEMU)
    assert list(scenario.samples["root disk session"].times) == ["warm"]
