"""A benchmark session: which runs, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from dbt_disco.benchmark.cold_cache import ColdCache
from dbt_disco.benchmark.engines import Engine, OwnEngine
from dbt_disco.benchmark.measurement import measure
from dbt_disco.benchmark.program_table import SCALES, Program
from dbt_disco.benchmark.results import Results

_LONG_ENOUGH: Final = "short"
"""The scale at which something in every program is hot, so that all of our engines' own code is used."""


@dataclass(frozen=True)
class Step:
    """One run to make."""

    program: Program
    engine: Engine
    scale: str
    timed: bool

    def __str__(self) -> str:
        return f"{self.program.name} {self.scale}, {self.engine.title}{'' if self.timed else ', not timed'}"


class Session:
    """Runs every program under every engine, `repeats` times, interleaved.

    The repeats of one program and engine stop early once they have taken `budget` seconds. `cold`: what our
    engines find as their cache at each run; without it, the user's own, filled by untimed runs.
    """

    def __init__(
        self,
        programs: list[Program],
        engines: list[Engine],
        scale: str,
        *,
        repeats: int,
        budget: float,
        timeout: float,
        cold: ColdCache | None,
    ) -> None:
        self.results = Results(programs, engines, scale)
        self.present = [engine for engine in engines if not engine.absent]
        self.repeats = repeats
        self.budget = budget
        self.timeout = timeout
        self.cold = cold

    def steps(self) -> list[Step]:
        """All runs in order: untimed ones, then repeat after repeat through programs and engines."""
        return list(self._untimed()) + list(self._one_repeat()) * self.repeats

    def run(self, before: Callable[[Step], None], after: Callable[[Step], None]) -> None:
        """Make all runs, into `results`; `before` and `after` are told of each, for a progress bar."""
        for step in self.steps():
            before(step)
            if self._wanted(step):
                with self.cold.directory(timed=step.timed) if self.cold else nullcontext() as cache:
                    run = measure(step.engine, step.program, step.scale, self.timeout, cache)
                self.results.add(step.program, step.engine, step.scale, run, timed=step.timed)
            after(step)

    def _untimed(self) -> Iterator[Step]:
        """Runs that leave in our engines' cache what timed ones are to find there."""
        own = [engine for engine in self.present if isinstance(engine, OwnEngine)]
        if self.cold:
            for engine in own:
                yield Step(self.results.programs[0], engine, engine.scale(_LONG_ENOUGH), timed=False)
            return
        for program in self.results.programs:
            for engine in own:
                if engine.key == "translator":
                    for scale in self._scales(engine):
                        yield Step(program, engine, scale, timed=False)

    def _one_repeat(self) -> Iterator[Step]:
        for program in self.results.programs:
            for engine in self.present:
                for scale in self._scales(engine):
                    yield Step(program, engine, scale, timed=True)

    def _scales(self, engine: Engine) -> list[str]:
        """An engine's own scale; for the steady state the one below; for the yardstick, everybody's."""
        scales = {engine.scale(self.results.scale)}
        if self.results.smaller_scale is not None and engine.key in ("native", "translator"):
            scales.add(self.results.smaller_scale)
        if engine.key == "native":
            scales |= {other.scale(self.results.scale) for other in self.present}
        return sorted(scales, key=SCALES.index)

    def _wanted(self, step: Step) -> bool:
        if not step.timed:
            return True
        runs = self.results.runs.get((step.program.name, step.engine.key, step.scale), [])
        return not any(run.failure for run in runs) and sum(run.seconds for run in runs) < self.budget
