"""A kind of benchmark: its scenarios, and what its report says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dbt_disco.benchmark.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Kind:
    """Of the benchmarks of virtual machines."""

    title: str
    scenarios: Mapping[str, type[Scenario]]
    """By their keys, in the order in which they are run."""
    sides: tuple[str, ...]
    """Columns of the table: see `Figure.sides`."""
    notes: tuple[str, ...]
    """What a reader of the table has to know."""
    tools: tuple[str, ...]
    """Programs whose versions matter."""
    quick_programs: tuple[str, ...]
    """Of the benchmark programs, if few are asked for."""
    quick_scale: str
    """And how long they run."""
    programs: tuple[str, ...] | None = None
    """If nothing is asked for; None: all."""
    missing: Callable[[], str] = lambda: ""
    """Why it cannot be run at all here; empty if it can."""
