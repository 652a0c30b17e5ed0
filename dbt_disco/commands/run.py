"""`dbt-disco run`: run a Linux program for MIPS, as qemu-mipsel would."""

from __future__ import annotations

import os
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TextIO

from dbt_disco.command_error import CommandError
from dbt_disco.engine import ENGINES
from dbt_disco.linux.load_error import LoadError
from dbt_disco.option_types import address, directory
from dbt_disco.process_end import end_as
from dbt_disco.standard_streams import keep_standard_error, own_stream

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.linux.exit_status import ExitStatus
    from dbt_disco.linux.strace import Strace
    from dbt_disco.linux_guest import LinuxGuest

_TRACES: Final = ("insn", "block", "mem")
_STARTED: Final = perf_counter()


def _engine_pair(text: str) -> tuple[str, str]:
    first, _, second = text.partition(",")
    for name in (first, second):
        if name not in ENGINES:
            raise ValueError
    return first, second


_engine_pair.__name__ = "pair of engines"


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "run",
        help="run a MIPS Linux program",
        description="Run a Linux o32 executable; what follows PROGRAM belongs to the guest.",
    )
    parser.add_program()
    option = parser.add_argument
    option(
        "-L",
        "--sysroot",
        type=directory,
        metavar="DIR",
        help="look for absolute guest paths in DIR first (QEMU's -L)",
    )
    option(
        "-E",
        dest="environment",
        action="append",
        default=[],
        metavar="K[=V]",
        help="set a variable of the guest's environment, or without = remove it; repeatable",
    )
    engines = "; ".join(f"{name}: {what}" for name, what in ENGINES.items())
    option("--engine", choices=ENGINES, default="auto", help=f"{engines} (default: auto)")
    option("--no-cache", action="store_true", help="neither read nor write the translation cache")
    option("--strace", action="store_true", help="show system calls and signals on standard error")
    option(
        "--stats",
        nargs="?",
        const="text",
        choices=("text", "json"),
        metavar="text|json",
        help="report instructions, times and translations at the end (--stats=json for JSON); counting "
        "instructions makes translated code slower",
    )
    option("--stats-file", metavar="FILE", help="where --stats goes (default: standard error)")
    option("--trace", choices=_TRACES, help="show every instruction, block or memory access, at its pace")
    option("--trace-start", type=address, metavar="ADDRESS", help="begin when control reaches ADDRESS")
    option("--trace-stop", type=address, metavar="ADDRESS", help="end when control reaches ADDRESS")
    option("--trace-file", metavar="FILE", help="where --trace goes (default: standard error)")
    option(
        "--lockstep",
        nargs="?",
        type=_engine_pair,
        const=("auto", "reference"),
        metavar="ENGINE,ENGINE",
        help="run two engines side by side and stop where they differ (--lockstep=ENGINE,ENGINE for others than "
        "auto,reference)",
    )
    return parser


def execute(options: Any) -> int:
    """Run the program and end this process as it has ended; does not return."""
    _check(options)
    keep_standard_error()
    try:
        guest = _guest(options)
    except LoadError as error:
        raise CommandError(str(error), error.exit_status) from None
    report = _report_output(options) if options.stats else None
    run_started = perf_counter()
    status = _run_in_lockstep(guest) if options.lockstep else guest.run()
    if report is not None:
        _report(report, guest, options, run_started)
    guest.vcpu.close()
    end_as(status)


def _check(options: Any) -> None:
    if options.trace and options.lockstep:
        raise CommandError("--trace and --lockstep exclude each other; give one of them", 2)
    if options.stats and (options.trace or options.lockstep):
        raise CommandError("--stats measures a run at full speed; leave out --trace and --lockstep", 2)
    for given, needed in (
        ("trace_start", "trace"),
        ("trace_stop", "trace"),
        ("trace_file", "trace"),
        ("stats_file", "stats"),
    ):
        if getattr(options, given) is not None and not getattr(options, needed):
            option = given.replace("_", "-")
            raise CommandError(f"--{option} says nothing without --{needed}; add --{needed}", 2)
    if any(change.startswith("=") or not change for change in options.environment):
        raise CommandError("-E wants NAME=VALUE, or NAME alone; the name is missing", 2)


def _guest(options: Any) -> LinuxGuest:
    from dbt_disco.linux_guest import LinuxGuest, guest_environment

    return LinuxGuest(
        options.program,
        (options.program, *options.arguments),
        environment=guest_environment(options.environment),
        sysroot=options.sysroot,
        engine=options.lockstep[0] if options.lockstep else options.engine,
        strace=_strace() if options.strace else None,
        observer=_observer(options),
        use_cache=not options.no_cache,
        count_instructions=bool(options.stats or options.trace or options.lockstep),
        precise_faults=bool(options.trace or options.lockstep),
    )


def _strace() -> Strace:
    from dbt_disco.linux.strace import Strace

    return Strace()


def _observer(options: Any) -> Any:
    """What stands between vCPU and process; see `LinuxGuest`."""
    if options.trace:
        return _tracer(options)
    if options.lockstep:
        from dbt_disco.lockstep.lockstep_vcpu import LockstepVcpu

        leader, follower = options.lockstep
        return partial(LockstepVcpu, follower_engine=follower, names=_titles(leader, follower))
    if options.stats:
        from dbt_disco.observed_vcpu import TimedVcpu

        return partial(TimedVcpu, use_cache=not options.no_cache)
    return None


def _titles(leader: str, follower: str) -> tuple[str, str]:
    return (leader, follower) if leader != follower else (f"{leader} 1", f"{leader} 2")


def _run_in_lockstep(guest: LinuxGuest) -> ExitStatus:
    from dbt_disco.lockstep.difference import Difference

    try:
        return guest.run()
    except Difference as difference:
        sys.stderr.write(difference.report())
        raise CommandError(difference.headline()) from None


def _tracer(options: Any) -> Any:
    from dbt_disco.tracing.trace_output import TraceOutput
    from dbt_disco.tracing.traces import KINDS

    try:
        output = TraceOutput(options.trace_file)
    except OSError as error:
        raise CommandError(f"{options.trace_file}: cannot write the trace: {error.strerror}") from None
    return partial(KINDS[options.trace], output=output, start=options.trace_start, stop=options.trace_stop)


def _report_output(options: Any) -> TextIO:
    """Opened before the guest runs, which may change the working directory."""
    if options.stats_file is None:
        return sys.stderr
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        return own_stream(os.open(options.stats_file, flags, 0o666))
    except OSError as error:
        raise CommandError(f"{options.stats_file}: cannot write the statistics: {error.strerror}") from None


def _report(output: TextIO, guest: LinuxGuest, options: Any, run_started: float) -> None:
    from dbt_disco.observed_vcpu import TimedVcpu
    from dbt_disco.statistics import as_json, as_text, measure

    assert isinstance(guest.observed, TimedVcpu)
    statistics = measure(guest, guest.observed, options.engine, _STARTED, run_started)
    try:
        output.write(as_json(statistics) if options.stats == "json" else as_text(statistics))
    except OSError as error:
        error.filename = options.stats_file
        raise
