"""The results as a table on the terminal and as JSON."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dbt_disco.benchmark.engines import NATIVE_FLAGS, Engine
from dbt_disco.benchmark.results import Figures, Results

UNKNOWN: Final = "–"
_COLD: Final = (
    "cold: their own code (interpreter, handlers), and nothing decoded or translated of any program"
)
_WARM: Final = "warm: what an untimed run of the same program has left there"


def _number(value: float | None) -> str:
    """Three significant digits, or fewer than a thousand in full."""
    if value is None:
        return UNKNOWN
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def _columns(engine: Engine) -> list[str]:
    """Which figures of an engine the table shows."""
    if engine.key == "native":
        return ["seconds"]
    if engine.key == "translator":
        return ["mips", "against_native", "steady_against_native", "speed_against_qemu"]
    return ["mips", "against_native"]


HEADINGS: Final = {
    "seconds": "seconds",
    "mips": "MIPS",
    "against_native": "native =1",
    "steady_against_native": "steady",
    "speed_against_qemu": "× QEMU",
}


def make_table(results: Results) -> Table:
    """A row per program, geometric means per class below, the columns of each engine side by side."""
    table = Table(title=f"dbt-disco bench, scale {results.scale}", title_justify="left", box=SIMPLE)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("program", no_wrap=True)
    present = [engine for engine in results.engines if not engine.absent]
    for engine in present:
        for index, column in enumerate(_columns(engine)):
            title = "" if index else engine.title  # above the first column of the engine's group
            table.add_column(f"{title}\n{HEADINGS[column]}", justify="right", no_wrap=True)
    last_class = ""
    for program in results.programs:
        if last_class and program.program_class != last_class:
            table.add_section()
        last_class = program.program_class
        cells = []
        for engine in present:
            failed = bool(results.failure(program, engine))
            cells += _cells(engine, results.figures(program, engine), failed)
        table.add_row(program.name, *cells)
    table.add_section()
    for title, programs in results.groups().items():
        means = [_cells(engine, results.mean_figures(programs, engine), False) for engine in present]
        table.add_row(f"all {title}", *(cell for cells in means for cell in cells), style="bold")
    return table


def print_table(results: Results) -> None:
    """Print the table at its natural width: a narrower terminal wraps the lines, but no figure is cut off."""
    table = make_table(results)
    wide = Console(width=1000)
    Console(width=Measurement.get(wide, wide.options, table).maximum).print(table)


def _cells(engine: Engine, figures: Figures, failed: bool) -> list[str]:
    if failed:
        return ["[red]failed[/red]"] * len(_columns(engine))
    return [_number(getattr(figures, column)) for column in _columns(engine)]


def notes(results: Results, cold: bool) -> list[str]:
    """What a reader of the table has to know: failures, absent engines, how the figures come about."""
    lines = []
    for program in results.programs:
        for engine in results.engines:
            failure = results.failure(program, engine)
            if failure:
                lines.append(f"failed: {program.name} under {engine.title}: {failure}")
    lines += [f"absent: {engine.title}: {engine.absent}" for engine in results.engines if engine.absent]
    smaller = [
        f"{engine.title} {engine.scale(results.scale)}"
        for engine in results.engines
        if not engine.absent and engine.scale(results.scale) != results.scale
    ]
    if smaller:
        lines.append(f"smaller scales, compared at those or by instruction: {', '.join(smaller)}")
    lines.append("medians of whole processes' wall-clock time, start-up and compilation included")
    lines.append(f"cache of our engines: {_COLD if cold else _WARM}")
    if results.smaller_scale:
        lines.append(f"steady: ratio of the time {results.scale} takes longer than {results.smaller_scale}")
    lines.append("native =1: time as a multiple of native; MIPS: million guest instructions a second")
    lines.append("× QEMU: how many times as fast as qemu-mipsel; all …: geometric means")
    return lines


def as_json(results: Results, cold: bool) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    programs = []
    for program in results.programs:
        engines = {}
        for engine in results.engines:
            if engine.absent:
                continue
            engines[engine.key] = asdict(results.figures(program, engine)) | {
                "scale": engine.scale(results.scale),
                "failure": results.failure(program, engine),
                "runs": [
                    {"scale": scale} | asdict(run)
                    for (name, key, scale), runs in results.runs.items()
                    if (name, key) == (program.name, engine.key)
                    for run in runs
                ],
            }
        programs.append(
            {
                "name": program.name,
                "class": program.program_class,
                "arguments": program.arguments,
                "instructions": program.instructions,
                "engines": engines,
            }
        )
    means = {
        title: {
            engine.key: asdict(results.mean_figures(members, engine))
            for engine in results.engines
            if not engine.absent
        }
        for title, members in results.groups().items()
    }
    absent = {engine.key: engine.absent for engine in results.engines if engine.absent}
    return {
        "scale": results.scale,
        "cold": cold,
        "host": describe_host(),
        "absent": absent,
        "programs": programs,
        "geometric_means": means,
    }


def describe_host(tools: Sequence[str] = ("cc", "qemu-mipsel")) -> dict[str, Any]:
    """The machine and the versions of what was compared."""
    versions = {
        name: metadata.version(name) for name in ("dbt-disco", "llvmlite", "unicorn") if _installed(name)
    }
    for tool in tools:
        if shutil.which(tool):
            done = subprocess.run([tool, "--version"], capture_output=True, text=True)
            versions[tool] = done.stdout.partition("\n")[0]
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": versions,
        "native_flags": " ".join(NATIVE_FLAGS),
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
