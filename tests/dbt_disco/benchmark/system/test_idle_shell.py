"""What follows from the times and memory of an idle guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.benchmark.scenarios.guest_process import Moment
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
