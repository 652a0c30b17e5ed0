"""What was measured, and the figures that follow from it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from dbt_disco.benchmark.engines import Engine
from dbt_disco.benchmark.measurement import Run
from dbt_disco.benchmark.program_table import FLOATING_POINT, SCALES, Program

SHORTEST_COMPARISON = 0.02
"""Seconds: native runs shorter than this are mostly start-up, and no yardstick."""


@dataclass(frozen=True)
class Figures:
    """One cell of the table: a program under an engine. None: not known."""

    seconds: float | None = None
    """Median of the whole process's wall-clock time."""
    mips: float | None = None
    """Million guest instructions per second of that time."""
    against_native: float | None = None
    """Time, as a multiple of the native program's."""
    speed_against_qemu: float | None = None
    """How many times as fast as qemu-mipsel."""
    steady_against_native: float | None = None
    """Time as a multiple of native, start-up and compilation excluded."""


@dataclass
class Results:
    """All runs of a benchmark session."""

    programs: list[Program]
    engines: list[Engine]
    scale: str
    """The scale asked for; slow engines run a smaller one."""
    runs: dict[tuple[str, str, str], list[Run]] = field(default_factory=dict)
    """By program, engine key and scale."""

    @property
    def smaller_scale(self) -> str | None:
        """The scale whose times are subtracted for the steady state."""
        index = SCALES.index(self.scale)
        return SCALES[index - 1] if index > 1 else None

    def add(self, program: Program, engine: Engine, scale: str, run: Run, *, timed: bool) -> None:
        """Take in a finished run; of one that is not timed, only a failure counts."""
        if timed or run.failure:
            self.runs.setdefault((program.name, engine.key, scale), []).append(run)

    def failure(self, program: Program, engine: Engine) -> str:
        """The first thing that went wrong with a program under an engine; empty if nothing did."""
        for (name, key, _), runs in self.runs.items():
            if (name, key) == (program.name, engine.key):
                for run in runs:
                    if run.failure:
                        return run.failure
        return ""

    def seconds(self, program: str, engine: str, scale: str) -> float | None:
        """The median time of the runs that went well."""
        times = [run.seconds for run in self.runs.get((program, engine, scale), ()) if not run.failure]
        return statistics.median(times) if times else None

    def figures(self, program: Program, engine: Engine) -> Figures:
        """The figures of one program under one engine."""
        scale = engine.scale(self.scale)
        seconds = self.seconds(program.name, engine.key, scale)
        if seconds is None:
            return Figures()
        return Figures(
            seconds=seconds,
            mips=program.instructions[scale] / seconds / 1e6,
            against_native=self._time_ratio(program, engine.key, "native", scale),
            speed_against_qemu=_inverse(self._time_ratio(program, engine.key, "qemu", scale)),
            steady_against_native=self._steady_ratio(program.name, engine.key),
        )

    def _time_ratio(self, program: Program, engine: str, yardstick: str, scale: str) -> float | None:
        """Time per unit of work as a multiple of another engine's.

        Where the yardstick has not run the same scale, or for too short a time to be measured, time per guest
        instruction at the scale that was asked for takes its place.
        """
        own = self.seconds(program.name, engine, scale)
        same = self.seconds(program.name, yardstick, scale)
        if own is not None and same is not None and same >= SHORTEST_COMPARISON:
            return own / same
        large = self.seconds(program.name, yardstick, self.scale)
        if own is None or large is None:
            return None
        return (own / program.instructions[scale]) / (large / program.instructions[self.scale])

    def _steady_ratio(self, program: str, engine: str) -> float | None:
        """The ratio of the times that the larger scale takes longer than the smaller one.

        What does not depend on the amount of work – start-up, compilation, the warm-up of caches – is in both
        times and cancels out.
        """
        if self.smaller_scale is None:
            return None
        times = [
            self.seconds(program, key, scale)
            for key in (engine, "native")
            for scale in (self.scale, self.smaller_scale)
        ]
        own, own_smaller, native, native_smaller = times
        if own is None or own_smaller is None or native is None or native_smaller is None:
            return None
        more, more_native = own - own_smaller, native - native_smaller
        return more / more_native if more > 0 and more_native > 0 else None

    def groups(self) -> dict[str, list[Program]]:
        """The groups of programs that geometric means are taken over, by title."""
        groups: dict[str, list[Program]] = {}
        for program in self.programs:
            groups.setdefault(program.program_class, []).append(program)
        floating = [program for program in self.programs if program.program_class in FLOATING_POINT]
        groups["integer and memory"] = [program for program in self.programs if program not in floating]
        groups["floating point"] = floating
        groups["programs"] = self.programs
        return {title: programs for title, programs in groups.items() if programs}

    def mean_figures(self, programs: list[Program], engine: Engine) -> Figures:
        """Geometric means over programs; a figure is None where it is missing for one of them."""
        figures = [self.figures(program, engine) for program in programs]
        return Figures(
            mips=geometric_mean(figure.mips for figure in figures),
            against_native=geometric_mean(figure.against_native for figure in figures),
            speed_against_qemu=geometric_mean(figure.speed_against_qemu for figure in figures),
            steady_against_native=geometric_mean(figure.steady_against_native for figure in figures),
        )


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of positive numbers; None if there are none, or if one is not known."""
    logarithms = []
    for value in values:
        if value is None:
            return None
        logarithms.append(math.log(value))
    return math.exp(math.fsum(logarithms) / len(logarithms)) if logarithms else None


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value
