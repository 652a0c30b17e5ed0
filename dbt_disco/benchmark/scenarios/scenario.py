"""What a scenario is: steps to be run, and figures that follow from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from dbt_disco.benchmark.cold_cache import ColdCache
from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.scenarios.guest_process import Moment
from dbt_disco.debian.guest_files import GuestFiles

if TYPE_CHECKING:
    from rich.table import Table

OWN: Final = "dbt-disco"
QEMU: Final = "QEMU"
NATIVE: Final = "native"


class ScenarioAbsent(Exception):
    """Something that a scenario needs is not there; what, and what to do, in one line."""


@dataclass(frozen=True)
class Plan:
    """What was asked for, and where everything is."""

    guest: GuestFiles
    directory: Path
    """For files that last as long as the benchmark."""
    programs: Sequence[Program]
    """Those that the scenarios with hot loops run."""
    scale: str
    """And how long."""
    idle_seconds: float
    timeout: float
    """Seconds that one process may take."""
    quick: bool = False
    """A glimpse is enough."""

    @property
    def cache(self) -> Path:
        """$XDG_CACHE_HOME of all runs that are not cold."""
        return self.directory / "cache"

    @property
    def cold_cache(self) -> ColdCache:
        """Caches without anything of a guest."""
        return ColdCache(self.cache)


@dataclass(frozen=True)
class Step:
    """Something to be done, such as one process to be run."""

    title: str
    run: Callable[[], None]
    """Raises GuestError, CommandError."""


@dataclass(frozen=True)
class Target:
    """What a figure should be."""

    limit: float
    at_least: bool = False
    """The limit is a lower one."""

    def is_met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    title: str
    value: float | None
    """What is compared with the target, in `unit`; None: not known."""
    unit: str
    target: Target | None = None
    processor_value: float | None = None
    """The same from processor time, which other work on the host disturbs less."""
    sides: dict[str, Moment | float] = field(default_factory=dict)
    """What the value follows from, by side: medians of times, or amounts in `unit`."""


@dataclass
class Samples:
    """Times of repeated runs, by side (of ours there may be several: cold, warm)."""

    times: dict[str, list[Moment]] = field(default_factory=dict)

    def add(self, side: str, time: Moment) -> None:
        """Take in one run."""
        self.times.setdefault(side, []).append(time)

    def medians(self) -> dict[str, Moment]:
        """Wall-clock and processor time of each side, each the median of its own."""
        return {
            side: Moment(
                median(time.seconds for time in times), median(time.processor_seconds for time in times)
            )
            for side, times in self.times.items()
        }


class Scenario(ABC):
    """One thing to be measured."""

    key: str
    """Names it on the command line."""

    def __init__(self, plan: Plan) -> None:
        """Nothing happens yet."""
        self.plan: Final = plan
        self.samples: Final[dict[str, Samples]] = {}
        """All times that were taken, by what was timed; for `--json`."""
        self.amounts: Final[dict[str, list[float]]] = {}
        """What else was measured, likewise."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what the steps need. Raises ScenarioAbsent, GuestError, OSError, CommandError."""

    def first_steps(self) -> list[Step]:
        """Steps that come once, before the repeats."""
        return []

    @abstractmethod
    def repeat(self) -> list[Step]:
        """The steps of one repeat."""

    @abstractmethod
    def figures(self) -> list[Figure]:
        """What has been measured; figures of what has not are there, too, without a value."""

    def tables(self) -> Sequence[Table]:
        """What does not go into the table of figures."""
        return ()

    def finish(self) -> None:  # noqa: B027
        """Called behind the last step, also if one has failed: nothing may be left running."""

    def taken(self, what: str) -> Samples:
        """Where the times of something go."""
        return self.samples.setdefault(what, Samples())


def ratio(dividend: Moment | None, divisor: Moment | None) -> tuple[float | None, float | None]:
    """The ratios of two wall-clock and two processor times; none of processor times too short to be seen."""
    if dividend is None or divisor is None:
        return None, None
    processor = None
    if dividend.processor_seconds > 0 and divisor.processor_seconds > 0:
        processor = dividend.processor_seconds / divisor.processor_seconds
    return dividend.seconds / divisor.seconds, processor


def compared(
    title: str, samples: Samples, side: str, target: Target | None, yardstick: str = QEMU, *shown: str
) -> Figure:
    """The time of one of our sides as a multiple of a yardstick's; further sides are `shown`."""
    medians = samples.medians()
    value, processor_value = ratio(medians.get(side), medians.get(yardstick))
    columns = {OWN: side} | {other: other for other in (yardstick, *shown)}
    sides = {column: medians[name] for column, name in columns.items() if name in medians}
    return Figure(title, value, "×", target, processor_value, dict(sides))
