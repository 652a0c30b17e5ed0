"""`dbt-disco bench`: run the benchmark programs under several engines and compare; or measure virtual machines."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.command_error import CommandError
from dbt_disco.option_types import positive, seconds
from dbt_disco.scratch_directory import ScratchDirectory

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.benchmark.program_table import Program
    from dbt_disco.benchmark.scenarios.kind import Kind

USAGE_ERROR: Final = 2

PLOT_SUFFIXES: Final = (".svg", ".png")

_FOR_ONE_KIND: Final = {
    **dict.fromkeys(("scenarios", "quick", "dir"), True),
    **dict.fromkeys(("engines", "cold", "plot"), False),
}
"""Options that only some benchmarks have, and whether they are those of virtual machines."""


def _names(text: str) -> list[str]:
    names = text.replace(",", " ").split()
    if not names:
        raise argparse.ArgumentTypeError("names none; leave it out for all")
    return names


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the command and its options."""
    from dbt_disco.benchmark.program_table import SCALES

    parser: ArgumentParser = subparsers.add_parser(
        "bench",
        description="Run the benchmark programs under several engines and compare. With --system, measure virtual "
        "machines beside QEMU's system emulator; with --cluster, many of them on one machine.",
    )
    parser.add_argument(
        "--programs",
        type=_names,
        metavar="NAMES",
        help="programs or classes, separated by commas (default: all)",
    )
    parser.add_argument(
        "--engines",
        type=_names,
        metavar="NAMES",
        help="of native,translator,interpreter,reference,qemu,unicorn (default: all)",
    )
    parser.add_argument(
        "--scale", choices=SCALES[::-1], help="amount of work (default: full, for virtual machines half)"
    )
    parser.add_argument(
        "--repeats", type=positive, default=3, metavar="N", help="timed runs each (default: 3)"
    )
    parser.add_argument(
        "--budget",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="no more repeats of a program and engine once they have taken this long (default: 60)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=600,
        metavar="SECONDS",
        help="end a single run after this (default: 600)",
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="at every run of our engines, have nothing of any program in the cache, neither translations nor "
        "decoded words; the engines' own code, made once at the first use of an installation, is there "
        "(default: a cache filled by an untimed run)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a chart into FILE (.svg or .png)")
    _add_system_options(parser)
    return parser


def _add_system_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(
        "virtual machines",
        "--programs, --scale, --repeats, --timeout and --json have their meaning here, too.",
    )
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--system",
        action="store_true",
        help="measure virtual machines, with what `fetch debian` has made, beside QEMU's",
    )
    which.add_argument(
        "--cluster", action="store_true", help="measure many virtual machines on one machine, likewise"
    )
    choices = "; ".join(f"--{name}: {','.join(kind().scenarios)}" for name, kind in _KINDS.items())
    group.add_argument(
        "--scenarios", type=_names, metavar="NAMES", help=f"what to measure (default: all; {choices})"
    )
    group.add_argument("--quick", action="store_true", help="one repeat, a few programs, short ones")
    group.add_argument("--dir", type=Path, metavar="DIR", help="where the Debian guest is")


def _system() -> Kind:
    from dbt_disco.benchmark.system.scenarios import SYSTEM

    return SYSTEM


def _cluster() -> Kind:
    from dbt_disco.benchmark.cluster.scenarios import CLUSTER

    return CLUSTER


_KINDS: Final = {"system": _system, "cluster": _cluster}
"""Benchmarks of virtual machines, by the options that ask for them."""


def _kind(options: argparse.Namespace) -> Kind | None:
    """Which one is asked for; None: none."""
    return next((kind() for name, kind in _KINDS.items() if getattr(options, name)), None)


def execute(options: argparse.Namespace) -> int:
    """Run the benchmark. 0: all outputs right; 1: a run failed or printed something wrong."""
    try:
        _check(options)
        kind = _kind(options)
        if kind is not None:
            return _virtual_machine_benchmark(kind, options)
        with ScratchDirectory("dbt-disco-bench-") as directory:
            return _benchmark(options, Path(directory))
    except (OSError, ValueError) as error:
        raise CommandError(f"bench: {error}", USAGE_ERROR) from error


def _check(options: argparse.Namespace) -> None:
    """Find out before hours of running what would go wrong at the end."""
    given = next((f"--{name}" for name in _KINDS if getattr(options, name)), "")
    needed = {"rich": True, "psutil": bool(given), "matplotlib": options.plot is not None}
    for module, wanted in needed.items():
        if wanted and importlib.util.find_spec(module) is None:
            raise ValueError(f"the Python package {module} is not installed; pip install {module}")
    for option, is_of_machines in _FOR_ONE_KIND.items():
        if getattr(options, option) and bool(given) != is_of_machines:
            when = f"with {given}" if given else "without --system or --cluster"
            raise ValueError(f"--{option} says nothing {when}")
    if options.plot is not None and options.plot.suffix not in PLOT_SUFFIXES:
        raise ValueError(f"--plot {options.plot}: the name must end in {' or '.join(PLOT_SUFFIXES)}")
    for path in (options.json, options.plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"{path}: there is no directory {path.absolute().parent}")


def _virtual_machine_benchmark(kind: Kind, options: argparse.Namespace) -> int:
    from dbt_disco.benchmark.scenarios import run

    _choose(options.scenarios, list(kind.scenarios), "scenario")
    return run.run(kind, options, _programs(options))


def _programs(options: argparse.Namespace) -> list[Program]:
    """The benchmark programs that were asked for."""
    from dbt_disco.benchmark.program_table import load_programs

    table = load_programs()
    classes = {program.program_class for program in table.values()}
    wanted = _choose(options.programs, [*table, *sorted(classes)], "program")
    return [p for p in table.values() if p.name in wanted or p.program_class in wanted]


def _benchmark(options: argparse.Namespace, directory: Path) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from dbt_disco.benchmark import report
    from dbt_disco.benchmark.cold_cache import ColdCache
    from dbt_disco.benchmark.engines import NativeEngine, all_engines
    from dbt_disco.benchmark.session import Session

    programs = _programs(options)
    available = all_engines(directory)
    chosen = _choose(options.engines, list(available), "engine")
    engines = [engine for key, engine in available.items() if key in chosen]
    for engine in engines:
        if isinstance(engine, NativeEngine):
            engine.compile(programs)
    session = Session(
        programs,
        engines,
        options.scale or "full",
        repeats=options.repeats,
        budget=options.budget,
        timeout=options.timeout,
        cold=ColdCache(directory / "engine-code") if options.cold else None,
    )
    columns = (TextColumn("{task.description:45}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(session.steps()))
        interrupted = False
        try:
            session.run(
                before=lambda step: progress.update(task, description=str(step)),
                after=lambda step: progress.advance(task),
            )
        except KeyboardInterrupt:
            interrupted = True
    results = session.results
    report.print_table(results)
    for line in report.notes(results, options.cold):
        print(line)
    if interrupted:
        print("interrupted: medians of the runs so far")
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(results, options.cold), indent=1) + "\n")
    if options.plot is not None:
        from dbt_disco.benchmark.plot import draw

        draw(results, options.plot)
    if interrupted:
        raise KeyboardInterrupt
    failed = any(results.failure(program, engine) for program in programs for engine in engines)
    return 1 if failed else 0


def _choose(given: list[str] | None, known: list[str], what: str) -> list[str]:
    """The names asked for, all known ones by default; ValueError for an unknown one."""
    for name in given or ():
        if name not in known:
            raise ValueError(f"no {what} is called {name!r}; there are {', '.join(known)}")
    return given or known
