"""The figures as a table on the terminal and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dbt_disco.benchmark.report import describe_host
from dbt_disco.benchmark.scenarios.guest_process import Moment
from dbt_disco.benchmark.scenarios.scenario import Figure, Target
from dbt_disco.benchmark.scenarios.session import Session

UNKNOWN: Final = "–"


def make_table(session: Session) -> Table:
    """A row per figure: the sides' times, what follows from them, the target, and whether it is met."""
    table = Table(title=session.kind.title, title_justify="left", box=SIMPLE)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("measured", no_wrap=True)
    for title in (*session.kind.sides, "value", "target", "", "processor time"):
        table.add_column(title, justify="right", no_wrap=True)
    for scenario in session.scenarios:
        if scenario.key in session.absent:
            continue
        for figure in scenario.figures():
            table.add_row(*_cells(figure, session.kind.sides))
        table.add_section()
    return table


def _cells(figure: Figure, sides: Sequence[str]) -> Iterator[str]:
    yield figure.title
    for side in sides:
        amount = figure.sides.get(side)
        yield _time(amount) if isinstance(amount, Moment) else _amount(amount, figure.unit)
    yield _amount(figure.value, figure.unit) or UNKNOWN
    yield "" if figure.target is None else _target(figure.target, figure.unit)
    yield _verdict(figure)
    yield _amount(figure.processor_value, figure.unit)


def _time(time: Moment) -> str:
    return f"{time.seconds:.2f} s ({time.processor_seconds:.2f})"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def _target(target: Target, unit: str) -> str:
    return f"{'≥' if target.at_least else '≤'} {target.limit:.3g} {unit}"


def _verdict(figure: Figure) -> str:
    if figure.target is None or figure.value is None:
        return ""
    return "[green]met[/green]" if figure.target.is_met(figure.value) else "[red]missed[/red]"


def print_table(session: Session) -> None:
    """Print the table, and those of scenarios, at their natural widths: a narrower terminal wraps the lines, but no
    figure is cut off."""
    more = [
        table
        for scenario in session.scenarios
        if scenario.key not in session.absent
        for table in scenario.tables()
    ]
    wide = Console(width=1000)
    for table in (make_table(session), *more):
        Console(width=Measurement.get(wide, wide.options, table).maximum).print(table)


def notes(session: Session) -> list[str]:
    """What a reader of the table has to know."""
    lines = [f"failed: {key}: {reason}" for key, reason in session.failures.items()]
    lines += [f"absent: {key}: {reason}" for key, reason in session.absent.items()]
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return [
        *lines,
        *(note.format(repeats=session.repeats) for note in session.kind.notes),
        f"load average at the end: {loads}",
    ]


def as_json(session: Session) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    return {
        "host": describe_host(session.kind.tools),
        "load_average": os.getloadavg(),
        "repeats": session.repeats,
        "absent": session.absent,
        "failures": session.failures,
        "scenarios": {
            scenario.key: {
                "figures": [_figure(figure) for figure in scenario.figures()],
                "times": {what: asdict(samples)["times"] for what, samples in scenario.samples.items()},
                "amounts": scenario.amounts,
            }
            for scenario in session.scenarios
            if scenario.key not in session.absent
        },
    }


def _figure(figure: Figure) -> dict[str, Any]:
    met = None if figure.target is None or figure.value is None else figure.target.is_met(figure.value)
    return asdict(figure) | {"met": met}
