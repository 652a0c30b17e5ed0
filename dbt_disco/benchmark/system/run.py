"""The benchmark from its options to its table and JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.system import report
from dbt_disco.benchmark.system.launch import qemu_is_missing
from dbt_disco.benchmark.system.scenario import Plan, Scenario, Step
from dbt_disco.benchmark.system.scenarios import SCENARIOS
from dbt_disco.benchmark.system.session import Session
from dbt_disco.command_error import CommandError
from dbt_disco.debian.guest_files import GuestFiles, default_directory

_IDLE_SECONDS: Final = 10.0
_QUICK_IDLE_SECONDS: Final = 3.0
_SCALE: Final = "half"
_QUICK_PROGRAMS: Final = ("sieve", "queens", "nbody")
_QUICK_SCALE: Final = "short"


def run(options: argparse.Namespace, programs: Sequence[Program]) -> int:
    """Measure, and print. 0: everything was measured, whether or not targets are met; 1: something failed.

    Raises CommandError if QEMU or everything else is missing.
    """
    missing = qemu_is_missing()
    if missing:
        raise CommandError(f"bench --system: {missing}; it is in Debian's package qemu-system-mips")
    with tempfile.TemporaryDirectory(prefix="dbt-disco-bench-") as directory:
        plan = _plan(options, programs, Path(directory))
        chosen = options.scenarios or list(SCENARIOS)
        session = Session([SCENARIOS[key](plan) for key in chosen], 1 if options.quick else options.repeats)
        interrupted = _run(session)
    _show(session, options.json)
    if interrupted:
        print("interrupted: medians of the runs so far")
        raise KeyboardInterrupt
    return 1 if session.failures or session.absent else 0


def _plan(options: argparse.Namespace, programs: Sequence[Program], directory: Path) -> Plan:
    if options.quick and options.programs is None:
        programs = [program for program in programs if program.name in _QUICK_PROGRAMS]
    return Plan(
        guest=GuestFiles(options.dir or default_directory()),
        directory=directory,
        programs=programs,
        scale=options.scale or (_QUICK_SCALE if options.quick else _SCALE),
        idle_seconds=_QUICK_IDLE_SECONDS if options.quick else _IDLE_SECONDS,
        timeout=options.timeout,
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
