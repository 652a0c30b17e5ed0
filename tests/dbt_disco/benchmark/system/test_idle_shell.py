"""What follows from the times and memory of an idle guest."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest

from dbt_disco.benchmark.scenarios.guest_process import GuestProcess, Moment
from dbt_disco.benchmark.scenarios.scenario import OWN, QEMU, Plan
from dbt_disco.benchmark.system.idle_shell import IdleShell
from dbt_disco.debian.guest_files import GuestFiles


@pytest.fixture
def scenario() -> IdleShell:
    return IdleShell(Plan(GuestFiles(Path()), Path(), [], "short", 1, 60))


def test_processor_time_is_part_of_the_wall_clock_time(scenario: IdleShell) -> None:
    for seconds in (0.2, 0.25, 0.9):
        scenario.taken("idle").add(OWN, Moment(10, seconds))
    idle, _ = scenario.figures()
    assert idle.value == pytest.approx(2.5)
    assert idle.target is not None and idle.target.is_met(idle.value)


def test_memory_is_allowed_for_what_the_guest_has_touched(scenario: IdleShell) -> None:
    scenario.amounts |= {"touched": [40.0], OWN: [180, 200, 195], QEMU: [150]}
    _, memory = scenario.figures()
    assert memory.value == 195
    assert memory.sides[QEMU] == 150
    assert memory.target is not None and memory.target.limit == 190
    assert not memory.target.is_met(memory.value)


def test_nothing_measured(scenario: IdleShell) -> None:
    assert [figure.value for figure in scenario.figures()] == [None, None]


class _SettlingGuest:
    """Time passes as it is slept; the compile worker has work until a time, in pauses of a few seconds."""

    def __init__(self, compiles_until: float) -> None:
        self.now = 0.0
        self._compiles_until = compiles_until

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def moment(self) -> Moment:
        return Moment(self.now, 0.04 * self.now)

    def seconds_of_others(self) -> float:
        return min(self.now, self._compiles_until) // 7


@pytest.mark.parametrize(
    ("compiles_until", "earliest", "latest"), [(0, 12, 13), (35, 47, 48), (1000, 120, 121)]
)
def test_settling_outlasts_pauses_of_the_compile_worker_but_not_for_ever(
    scenario: IdleShell, monkeypatch: pytest.MonkeyPatch, compiles_until: int, earliest: int, latest: int
) -> None:
    guest = _SettlingGuest(compiles_until)
    monkeypatch.setattr(time, "sleep", guest.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: guest.now)
    scenario._settle(cast(GuestProcess, guest))
    assert earliest <= guest.now <= latest
