"""The demo's first part: one program under each of our engines, in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.engines import all_engines
from dbt_disco.benchmark.measurement import measure
from dbt_disco.benchmark.program_table import load_programs
from dbt_disco.command_error import CommandError

PROGRAM: Final = "sieve"
"""The benchmark program that is run: at its smallest the reference engine's start-up is a twentieth of the time."""
_SCALES: Final = {"reference": "tiny", "interpreter": "half", "translator": "full"}
"""Engine → amount of work: some seconds of each, the slowest first."""
_TIME_LIMIT: Final = 120.0
"""Seconds for one run."""


@dataclass(frozen=True)
class EngineSpeed:
    """How fast an engine has run the program."""

    engine: str
    instructions: int
    seconds: float
    """Of the whole process: start-up and compilation are included."""

    @property
    def mips(self) -> float:
        """Million guest instructions per second."""
        return self.instructions / self.seconds / 1e6


def engine_speeds(status: Callable[[str], None]) -> Iterator[EngineSpeed]:
    """Run the program under the engines, the reference engine first. CommandError if a run fails or prints the
    wrong thing. `status` is told what is going on.
    """
    program = load_programs()[PROGRAM]
    engines = all_engines(Path())
    for key, scale in _SCALES.items():
        engine = engines[key]
        runs = [scale]
        if key != "reference":  # the engine's own code is made at the first use of an installation
            runs.insert(0, "tiny")
        for each in runs:
            status(f"{engine.title}: {program.instructions[each] / 1e6:,.1f} million instructions …")
            run = measure(engine, program, each, _TIME_LIMIT, cache=None)
            if run.failure:
                raise CommandError(f"demo: {PROGRAM} under the {engine.title}: {run.failure}")
        yield EngineSpeed(engine.title, program.instructions[scale], run.seconds)
