"""What one run leaves in the disk cache for the next, also of what was compiled too late."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.outcome import Ending
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system import translations
from runtime.system.region_installer import RegionInstaller
from runtime.system.translations import SystemTranslations
from runtime.system.vcpu import SystemVcpu
from runtime.translations import TranslationCounts
from tests.dbt_disco.virtual_machine.bare_programs import monitor_call, raw_image

TIMEOUT = 60

LOOP = ("lui r8, 8", "loop:", "addiu r8, r8, -1", "bne r8, r0, loop", "nop")
LATE = (*LOOP, *monitor_call(3))
"""A loop that gets hot, and is at its end long before the worker has started."""

NOTHING = monitor_call(3)

WARM = ("lui r8, 2", *LOOP[1:], *monitor_call(3))
"""A loop that does not get hot."""

UNTIL_INPUT = (
    "lui r10, 0xbf00",
    "until_input:",
    "lbu r11, 0x928(r10)",
    "andi r11, r11, 1",
    "beq r11, r0, until_input",
    "nop",
    *monitor_call(3),
)
"""Hot for as long as nothing comes in."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dbt-disco"


def run(tmp_path: Path, *program: str) -> SystemTranslations:
    """Run the program to its end; what was translated."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*program))
    guest = VirtualMachine(Configuration(kernel, memory_size=4 << 20), ScriptedConsole())
    assert guest.run().ending is Ending.POWER_OFF
    guest.close()
    return of(guest)


def notes(cache: Path) -> list[bytes]:
    """What the runs have noted (each file begins with a digest of the rest)."""
    return [path.read_bytes()[16:] for path in cache.glob("*/runs/*")]


def of(guest: VirtualMachine) -> SystemTranslations:
    assert isinstance(guest.vcpu, SystemVcpu)
    return guest.vcpu.translations


def test_a_run_that_ends_too_early_is_finished_by_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first = run(tmp_path, *LATE)
    assert (first.counts.requested, first.counts.installed) == (1, 0)
    assert notes(cache) == [b"unfinished 1"]
    monkeypatch.setattr(translations, "_PATIENCE", {1: TIMEOUT})
    run(tmp_path, *LATE)
    for _ in range(2):
        later = run(tmp_path, *LATE)
        assert (later.counts.requested, later.counts.from_cache) == (1, 1)
        assert later._client is None  # nor has a worker been started in vain
    assert notes(cache) == [b"finished"]


def test_patience_grows_with_the_runs_that_have_left_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """A region that takes longer than the first patience was asked for by every run, and waited for in vain."""
    monkeypatch.setattr(translations, "_PATIENCE", {1: 0.001, 2: 0.001, 3: TIMEOUT})
    for left in range(3):
        assert run(tmp_path, *LATE).counts.requested == 1
        assert notes(cache) == [b"unfinished %d" % (left + 1)]
    run(tmp_path, *LATE)
    assert run(tmp_path, *LATE).counts.from_cache == 1
    assert notes(cache) == [b"finished"]


def test_what_is_never_finished_is_not_waited_for_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(translations, "_PATIENCE", {2: TIMEOUT})
    monkeypatch.setattr(translations, "_ROUND", 3)
    left = []
    for _ in range(2):
        run(tmp_path, *LATE)
        left += notes(cache)
    assert left == [b"unfinished 1", b"unfinished 2"]
    (note,) = cache.glob("*/runs/*")
    contents = b"unfinished 5"  # two, and three more
    note.write_bytes(hashlib.blake2b(contents, digest_size=16).digest() + contents)
    run(tmp_path, *LATE)
    run(tmp_path, *LATE)
    assert notes(cache) == [b"finished"]


@pytest.mark.parametrize(("body", "installed"), [(63, 0), (64, 1), (489, 1)])
def test_what_is_known_of_a_long_loop_is_used_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: int, installed: int
) -> None:
    """SHA-256 of the Debian kernel was interpreted for 32 million instructions in every boot."""
    loop = ("again:", *["nop"] * (body - 1), "addiu r8, r8, -1", "bne r8, r0, again", "nop", *monitor_call(3))
    monkeypatch.setattr(translations, "_PATIENCE", {1: TIMEOUT})
    for _ in range(2):
        run(tmp_path, "lui r8, 4", *loop)
    seldom = run(tmp_path, "addiu r8, r0, 0x1100", *loop)
    assert seldom.counts.from_cache == installed


def test_the_first_run_of_a_cache_starts_the_worker(tmp_path: Path, cache: Path) -> None:
    """Whatever it runs: most of what is run will have something to compile."""
    first, second = (run(tmp_path, *NOTHING) for _ in range(2))
    assert first._client is not None and second._client is None
    assert notes(cache) == []


def test_where_nothing_can_be_kept_no_run_is_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert run(tmp_path, *NOTHING)._client is None


def test_the_worker_starts_before_anything_is_hot_unless_an_earlier_run_has_needed_none(
    tmp_path: Path, cache: Path
) -> None:
    run(tmp_path, *NOTHING)
    first, second = (run(tmp_path, *WARM) for _ in range(2))
    assert first._client is not None and second._client is None
    assert [each.counts.requested for each in (first, second)] == [0, 0]
    assert notes(cache) == [b"finished"]


def run_until(kernel: Path, is_enough: Callable[[TranslationCounts], bool]) -> TranslationCounts:
    with RunningVirtualMachine(Configuration(kernel, memory_size=4 << 20)) as guest:
        counts = of(guest.virtual_machine).counts
        deadline = time.monotonic() + TIMEOUT
        while not is_enough(counts):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        guest.console.send("x")
        assert guest.join(TIMEOUT).ending is Ending.POWER_OFF
    return counts


def test_what_comes_too_late_to_be_used_is_there_in_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest's code is no more what it was when it got hot: then the first run has no use for the region."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*UNTIL_INPUT))
    with monkeypatch.context() as patch:
        patch.setattr(RegionInstaller, "_is_current", lambda *_: False)
        assert run_until(kernel, lambda counts: counts.outdated > 0).installed == 0
    later = run_until(kernel, lambda counts: counts.installed > 0)
    assert (later.from_cache, later.outdated) == (1, 0)
