"""Sessions of scenarios, without any guest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dbt_disco.benchmark.scenarios import report
from dbt_disco.benchmark.scenarios.guest_process import GuestError, Moment
from dbt_disco.benchmark.scenarios.scenario import (
    QEMU,
    Figure,
    Plan,
    Scenario,
    ScenarioAbsent,
    Step,
    Target,
    compared,
)
from dbt_disco.benchmark.scenarios.session import Session
from dbt_disco.benchmark.system.scenarios import SYSTEM
from dbt_disco.debian.guest_files import GuestFiles

PLAN = Plan(GuestFiles(Path()), Path(), [], "short", 1, 60)


class Fake(Scenario):
    key = "fake"

    def __init__(self, *, absent: str = "", fails: Callable[[], bool] = lambda: False) -> None:
        super().__init__(PLAN)
        self.absent, self.fails = absent, fails
        self.log: list[str] = []

    def prepare(self) -> None:
        if self.absent:
            raise ScenarioAbsent(self.absent)

    def first_steps(self) -> list[Step]:
        return [Step("first", partial(self.log.append, "first"))]

    def repeat(self) -> list[Step]:
        return [Step("ours", partial(self.take, "ours", 3)), Step("theirs", partial(self.take, QEMU, 2))]

    def take(self, side: str, seconds: float) -> None:
        if self.fails():
            raise GuestError("guest has panicked")
        self.log.append(side)
        self.taken("boot").add(side, Moment(seconds, seconds / 4 if side == QEMU else seconds))

    def figures(self) -> list[Figure]:
        return [compared("a boot", self.taken("boot"), "ours", Target(1.6))]


def run(*scenarios: Scenario) -> Session:
    session = Session(SYSTEM, scenarios, 2)
    session.run(lambda scenario, step, done: None)
    return session


def text(session: Session, capsys: pytest.CaptureFixture[str]) -> str:
    report.print_table(session)
    print(*report.notes(session), sep="\n")
    return capsys.readouterr().out


def test_sides_take_turns() -> None:
    scenario = Fake()
    run(scenario)
    assert scenario.log == ["first", "ours", QEMU, "ours", QEMU]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in text(run(Fake()), capsys).splitlines() if "a boot" in line)
    assert " ".join(line.split()) == "a boot 3.00 s (3.00) 2.00 s (0.50) 1.50 × ≤ 1.6 × met 6.00 ×"


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(2), 2.0, True),
        (Target(2), 2.1, False),
        (Target(2, at_least=True), 2.0, True),
        (Target(2, at_least=True), 1.9, False),
    ],
)
def test_targets(target: Target, value: float, met: bool) -> None:
    assert target.is_met(value) is met


def test_what_is_absent_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    session = run(Fake(absent="no kernel here"))
    assert "absent: fake: no kernel here" in text(session, capsys)
    assert report.as_json(session)["absent"] == {"fake": "no kernel here"}


def test_a_failure_ends_its_scenario_alone(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Fake(fails=lambda: len(failing.log) == 3)
    other = Fake()
    other.key = "other"
    session = run(failing, other)
    assert failing.log == ["first", "ours", QEMU]
    assert len(other.log) == 5
    assert "failed: fake: ours: guest has panicked" in text(session, capsys)


def test_a_figure_without_times_has_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    session = run(Fake(fails=lambda: True))
    (line,) = (line for line in text(session, capsys).splitlines() if "a boot" in line)
    assert " ".join(line.split()) == "a boot – ≤ 1.6 ×"


def test_json_has_every_run() -> None:
    entry = report.as_json(run(Fake()))["scenarios"]["fake"]
    assert [time["seconds"] for time in entry["times"]["boot"]["ours"]] == [3, 3]
    assert entry["figures"][0]["value"] == 1.5
    assert entry["figures"][0]["met"] is True
