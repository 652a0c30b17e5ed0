"""The arithmetic behind the benchmark's table."""

from __future__ import annotations

import pytest

from dbt_disco.benchmark.engines import Engine
from dbt_disco.benchmark.measurement import Run
from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.results import Results, geometric_mean

NATIVE = Engine("native", "native")
FAST = Engine("translator", "translator")
SLOW = Engine("reference", "reference", largest_scale="tiny")
QEMU = Engine("qemu", "qemu-mipsel")
COUNTS = {"tiny": 1_000_000, "half": 2_000_000_000, "full": 4_000_000_000}
INTEGER = Program("one", "integer", {}, {}, COUNTS)
DOUBLE = Program("two", "double", {}, {}, COUNTS)


def run(seconds: float, failure: str = "") -> Run:
    return Run(seconds, seconds, 1, failure)


def results(*measured: tuple[Program, Engine, str, Run]) -> Results:
    made = Results([INTEGER, DOUBLE], [NATIVE, FAST, SLOW, QEMU], "full")
    for program, engine, scale, one in measured:
        made.add(program, engine, scale, one, timed=True)
    return made


def test_same_scale() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(2.0)),
        (INTEGER, QEMU, "full", run(8.0)),
        (INTEGER, FAST, "full", run(9.0)),
        (INTEGER, FAST, "full", run(3.0)),
        (INTEGER, FAST, "full", run(2.5)),
    )
    figures = made.figures(INTEGER, FAST)
    assert figures.seconds == 3.0
    assert figures.mips == pytest.approx(4000 / 3)
    assert figures.against_native == pytest.approx(1.5)
    assert figures.speed_against_qemu == pytest.approx(8 / 3)
    assert figures.steady_against_native is None


def test_smaller_scale_is_compared_by_instruction() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(2.0)),
        (INTEGER, SLOW, "tiny", run(1.0)),
    )
    assert made.figures(INTEGER, SLOW).against_native == pytest.approx(2000)


def test_too_short_a_run_is_no_yardstick() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(2.0)),
        (INTEGER, NATIVE, "tiny", run(0.001)),
        (INTEGER, SLOW, "tiny", run(1.0)),
    )
    assert made.figures(INTEGER, SLOW).against_native == pytest.approx(2000)


def test_steady_state_subtracts_what_both_scales_share() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(3.1)),
        (INTEGER, NATIVE, "half", run(1.1)),
        (INTEGER, FAST, "full", run(4.5)),
        (INTEGER, FAST, "half", run(2.0)),
    )
    assert made.figures(INTEGER, FAST).steady_against_native == pytest.approx(1.25)


def test_failed_runs_do_not_count() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(2.0)),
        (INTEGER, FAST, "full", run(0.1, failure="printed something else than expected")),
    )
    assert made.failure(INTEGER, FAST) == "printed something else than expected"
    assert made.figures(INTEGER, FAST).seconds is None


def test_of_untimed_runs_only_failures_count() -> None:
    made = results((INTEGER, NATIVE, "full", run(2.0)))
    made.add(INTEGER, FAST, "full", run(50.0), timed=False)
    assert made.figures(INTEGER, FAST).seconds is None
    assert not made.failure(INTEGER, FAST)
    made.add(INTEGER, FAST, "full", run(50.0, failure="broken"), timed=False)
    assert made.failure(INTEGER, FAST) == "broken"


def test_means_need_every_program() -> None:
    made = results(
        (INTEGER, NATIVE, "full", run(1.0)),
        (DOUBLE, NATIVE, "full", run(1.0)),
        (INTEGER, FAST, "full", run(2.0)),
    )
    assert made.mean_figures([INTEGER], FAST).against_native == pytest.approx(2.0)
    assert made.mean_figures([INTEGER, DOUBLE], FAST).against_native is None
    made.add(DOUBLE, FAST, "full", run(8.0), timed=True)
    assert made.mean_figures([INTEGER, DOUBLE], FAST).against_native == pytest.approx(4.0)


def test_groups() -> None:
    assert {title: len(programs) for title, programs in results().groups().items()} == {
        "integer": 1,
        "double": 1,
        "integer and memory": 1,
        "floating point": 1,
        "programs": 2,
    }


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([]) is None
    assert geometric_mean([2.0, None]) is None
