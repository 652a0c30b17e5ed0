"""`dbt-disco demo`: the engines' speeds, then four virtual machines that share a disk, on what the package has."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.command_error import CommandError
from dbt_disco.process_end import die_by_signal
from dbt_disco.scratch_directory import ScratchDirectory
from runtime.addresses import MACHINE_PAGE_SIZE

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.demo.four_machines import Holdings, Report
    from dbt_disco.demo.screen import Screen

_ENGINE_COLUMNS: Final = (12, -16, -9, -9, -13)
_MACHINE_COLUMNS: Final = (3, 6, -6, 2)
_MEMORY_COLUMNS: Final = (17, 2)
_MB: Final = 1 << 20


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the command."""
    parser: ArgumentParser = subparsers.add_parser(
        "demo",
        description="Show what this is about, in less than a minute: how fast the engines run one program, and "
        "four virtual machines that share a disk on a machine of two nodes, of which one crashes on purpose. "
        "Everything is checked; the exit status is 0 if all was right.",
    )
    return parser


def execute(options: argparse.Namespace) -> int:
    """Run the demo. 0: all was right; else CommandError, which says what was wrong."""
    with _interrupted_by(signal.SIGHUP, signal.SIGTERM):
        try:
            return _demo()
        except KeyboardInterrupt as interrupt:
            die_by_signal(*(interrupt.args or (signal.SIGINT,)))


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Have these signals raise KeyboardInterrupt with their number, so that nothing is left behind."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] == signal.SIG_DFL:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def _demo() -> int:
    from dbt_disco.demo.screen import Screen

    with Screen() as screen:
        _show_engines(screen)
        screen.line()
        problems = _show_machines(screen)
        screen.line()
    if problems:
        more = f"; {len(problems) - 1} more" if len(problems) > 1 else ""
        raise CommandError(f"demo: {problems[0]}{more}")
    print("All checksums are right, the crash hurt nobody else, the memory audit agrees.")
    return 0


def _show_engines(screen: Screen) -> None:
    from dbt_disco.demo.engine_speeds import PROGRAM, engine_speeds

    screen.headline(f"A MIPS program, {PROGRAM}, under each engine: whole processes with compilation")
    screen.table_line(("engine", "instructions", "seconds", "MIPS", "× reference"), _ENGINE_COLUMNS)
    reference = 0.0
    for speed in engine_speeds(screen.status):
        reference = reference or speed.mips
        cells = (
            f"{speed.instructions / 1e6:,.1f} million",
            f"{speed.seconds:.2f}",
            f"{speed.mips:,.2f}" if speed.mips < 10 else f"{speed.mips:,.0f}",
            f"{speed.mips / reference:,.0f}",
        )
        screen.table_line((speed.engine, *cells), _ENGINE_COLUMNS)
    screen.status("")


def _show_machines(screen: Screen) -> list[str]:
    """Returns what was wrong."""
    from dbt_disco.demo.disk_image import demo_volume
    from dbt_disco.demo.four_machines import MACHINE, MEMORY_SIZE, four_machines

    nodes = f"{MACHINE.nodes} nodes with {MACHINE.memory_per_node // _MB} MB each"
    screen.headline(f"Four virtual machines of {MEMORY_SIZE // _MB} MB on {nodes}, and one disk for all")
    with ScratchDirectory("dbt-disco-demo-") as directory:
        volume = demo_volume()
        disk = Path(directory, "disk")
        disk.write_bytes(volume.image())
        with four_machines(volume, disk) as machines:
            problems: list[str] = []
            for report in machines.reports(screen.status):
                _show_report(screen, report)
                problems += [f"{report.vm}: {report.wrong}"] if report.wrong else []
            screen.status("")
            if not problems:
                screen.line()
                problems += _show_holdings(screen, machines.holdings())
    return problems


def _show_report(screen: Screen, report: Report) -> None:
    from dbt_disco.demo.four_machines import CRASHES, PANIC, SECTORS

    if report.wrong:
        said = f"WRONG: {report.wrong}"
    elif report.vm == CRASHES:
        said = f"crash on purpose: {report.last_words.removeprefix(PANIC).partition(':')[0]}"
    else:
        said = f"right: all files, {SECTORS} sectors of its own, the computation"
    screen.table_line(
        (report.vm, f"node {report.home_node}", f"{report.seconds:.1f} s", said), _MACHINE_COLUMNS
    )


def _show_holdings(screen: Screen, holdings: Holdings) -> list[str]:
    """Returns what was wrong."""
    statistics = holdings.statistics
    memory, uses = statistics["memory"], [vm["memory_use"] for vm in statistics["vms"]]
    seen, shared = (sum(use[kind] for use in uses) for kind in ("touched", "shared"))
    nodes = ", ".join(f"{_megabytes(size)} on node {n}" for n, size in enumerate(memory["in_use_of_nodes"]))
    asked = holdings.hits + holdings.misses
    screen.headline("Memory, when all had ended and nothing was given back yet")
    for title, text in (
        ("they see", f"{_megabytes(seen)}, which they would need without sharing"),
        (
            "the machine holds",
            f"{_megabytes(memory['in_use'])}, {memory['in_use'] / seen:.0%} of that: {nodes}",
        ),
        (
            "shared pages",
            f"{shared // MACHINE_PAGE_SIZE:,} of the {seen // MACHINE_PAGE_SIZE:,} that they see",
        ),
        (
            "disk cache",
            f"{holdings.cached:,} pages; of {asked:,} asked for, {holdings.hits / asked:.0%} were there",
        ),
    ):
        screen.table_line((title, text), _MEMORY_COLUMNS)
    return [f"the auditor found: {found}" for found in holdings.disagreements]


def _megabytes(size: int) -> str:
    return f"{size / _MB:.1f} MB"
