"""The benchmark from its options to its table and JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.scenarios import report
from dbt_disco.benchmark.scenarios.kind import Kind
from dbt_disco.benchmark.scenarios.scenario import Plan, Scenario, Step
from dbt_disco.benchmark.scenarios.session import Session
from dbt_disco.command_error import CommandError
from dbt_disco.debian.guest_files import GuestFiles, default_directory
from dbt_disco.scratch_directory import ScratchDirectory

_IDLE_SECONDS: Final = 10.0
_QUICK_IDLE_SECONDS: Final = 3.0
_SCALE: Final = "half"


def run(kind: Kind, options: argparse.Namespace, programs: Sequence[Program]) -> int:
    """Measure, and print. 0: everything was measured, whether or not targets are met; 1: something failed.

    Raises CommandError if what everything needs is missing.
    """
    missing = kind.missing()
    if missing:
        raise CommandError(f"bench: {missing}")
    with ScratchDirectory("dbt-disco-bench-") as directory:
        plan = _plan(kind, options, programs, Path(directory))
        scenarios = [kind.scenarios[key](plan) for key in options.scenarios or kind.scenarios]
        session = Session(kind, scenarios, 1 if options.quick else options.repeats)
        interrupted = _run(session)
    _show(session, options.json)
    if interrupted:
        print("interrupted: medians of the runs so far")
        raise KeyboardInterrupt
    return 1 if session.failures or session.absent else 0


def _plan(kind: Kind, options: argparse.Namespace, programs: Sequence[Program], directory: Path) -> Plan:
    usual = kind.quick_programs if options.quick else kind.programs
    if options.programs is None and usual is not None:
        programs = [program for program in programs if program.name in usual]
    return Plan(
        guest=GuestFiles(options.dir or default_directory()),
        directory=directory,
        programs=programs,
        scale=options.scale or (kind.quick_scale if options.quick else _SCALE),
        idle_seconds=_QUICK_IDLE_SECONDS if options.quick else _IDLE_SECONDS,
        timeout=options.timeout,
        quick=options.quick,
    )


def _run(session: Session) -> bool:
    """Run everything, with a progress bar; whether the user has interrupted it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:55}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(session.scenarios))

        def before(scenario: Scenario, step: Step, done: float) -> None:
            completed = session.scenarios.index(scenario) + done
            progress.update(task, description=step.title, completed=completed)

        try:
            session.run(before)
        except KeyboardInterrupt:
            return True
    return False


def _show(session: Session, json_file: Path | None) -> None:
    report.print_table(session)
    for line in report.notes(session):
        print(line)
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(session), indent=1) + "\n")
