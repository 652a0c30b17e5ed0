"""`dbt-disco boot`: boot an operating system, or any program for the bare machine, on a virtual machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dbt_disco.command_error import CommandError
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.drive import parse_drive
from dbt_disco.engine import ENGINES
from dbt_disco.virtual_machine.configuration import DEFAULT_CPU, Configuration
from dbt_disco.virtual_machine.console.option import STDIO, LineOption, parse_line
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.user_network_option import parse_network
from runtime.system.cpu_model import CPU_MODELS

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.virtual_machine.console.line import Line
    from dbt_disco.virtual_machine.console.terminal import Terminal
    from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_STARTED: Final = perf_counter()

_Value = TypeVar("_Value")


def _option(parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """For argparse: what `parse` says is wrong is for the user."""

    def parsed(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        except DiskError as error:  # which says what option it is about
            raise CommandError(str(error), 2) from None

    return parsed


def _memory_size(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _UNITS else (text, "M")
    if not number.isascii() or not number.isdigit():
        raise ValueError(f"{text}: it is a number of MiB, or a number with K, M or G")
    return int(number) * _UNITS[unit]


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "boot",
        help="boot an operating system on a virtual machine",
        description="Boot a kernel, or what `dbt-disco fetch debian` has made, on a virtual machine. Ctrl-A x leaves, "
        "Ctrl-A c is the monitor's prompt, Ctrl-A h lists all such keys.",
    )
    option = parser.add_argument
    option("guest", nargs="?", choices=("debian",), help="boot what `dbt-disco fetch` has made")
    option("--dir", type=Path, metavar="DIR", help="where that is (default: in the user's cache)")
    option("--kernel", type=Path, metavar="FILE", help="an ELF file, Debian's vmlinuz, or a raw image")
    option("--initrd", type=Path, metavar="FILE", help="an initial file system for Linux")
    option("--append", default="", metavar="TEXT", help="the kernel's command line; for debian, added to it")
    option(
        "-m",
        "--memory",
        type=_option(_memory_size),
        default="256M",
        metavar="SIZE",
        help="physical memory, with K, M or G (default: 256M)",
    )
    option(
        "--drive",
        dest="drives",
        action="append",
        default=[],
        type=_option(parse_drive),
        metavar="file=FILE[,mode=…]",
        help="a disk; mode=shared (default): writes vanish with the virtual machine; overlay:FILE: they are kept in "
        "FILE; exclusive: in place; also format=raw|qcow2, serial=TEXT, readonly=on; repeatable",
    )
    option(
        "--net",
        type=_option(parse_network),
        default="none",
        metavar="user|none",
        help="user: a network behind the host's own, by libslirp, also user,hostfwd=tcp::2222-:22 (default: none)",
    )
    option("--rng", action="store_true", help="a source of randomness")
    option(
        "--balloon", action="store_true", help="a memory balloon, by which the guest gives back free pages"
    )
    option("--cpu", choices=CPU_MODELS, default=DEFAULT_CPU, help=f"(default: {DEFAULT_CPU})")
    for name, default, what in (
        ("--serial", STDIO, "where the serial line goes (default: stdio)"),
        ("--virtio-console", None, "a virtio console (Linux: hvc0), and where it goes"),
    ):
        option(
            name,
            type=_option(parse_line),
            default=default,
            metavar="stdio|file:FILE|pty|tcp:HOST:PORT",
            help=what,
        )
    option(
        "--clock",
        choices=("host", "instructions"),
        help="what time follows; with instructions, runs are repeatable (default: host; with the reference engine, "
        "which knows nothing else, instructions)",
    )
    engines = "; ".join(f"{name}: {what}" for name, what in ENGINES.items())
    option("--engine", choices=ENGINES, default="auto", help=f"{engines} (default: auto)")
    option("--no-privileged-page", action="store_true", help="the guest has no privileged-register page")
    option(
        "--no-rewrite",
        action="store_true",
        help="accesses to the privileged-register page trap and are emulated one by one, rather than made moves",
    )
    option("--no-cache", action="store_true", help="neither read nor write the translation cache")
    option(
        "--stats",
        nargs="?",
        const="text",
        choices=("text", "json"),
        metavar="text|json",
        help="report exits, instructions, translations and times at the end, on standard error; counting instructions "
        "makes translated code slower",
    )
    return parser


def execute(options: Any) -> int:
    """Boot, and return the exit status when the virtual machine has ended."""
    configuration = _configuration(options)
    if STDIO == options.serial == options.virtio_console:
        raise CommandError(
            "only one of --serial and --virtio-console can be stdio; give the other a file or pty", 2
        )
    try:
        outcome = _boot(configuration, options)
    except DiskError as error:
        raise CommandError(str(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{error.filename or 'host error'}: {error.strerror or error}") from error
    return outcome.exit_status


# What to boot.


def _configuration(options: Any) -> Configuration:
    configuration = Configuration(
        kernel=options.kernel or Path(),
        initrd=options.initrd,
        command_line=options.append,
        memory_size=options.memory,
        drives=tuple(options.drives),
        network=options.net,
        entropy=options.rng,
        balloon=options.balloon,
        cpu=options.cpu,
        clock=options.clock or ("instructions" if options.engine == "reference" else "host"),
        engine=options.engine,
        count_instructions=bool(options.stats),
        privileged_page=not options.no_privileged_page,
        rewrites_privileged_page=not options.no_rewrite,
        use_cache=not options.no_cache,
        name=f"dbt-disco boot, process {os.getpid()}",
    )
    if options.guest == "debian":
        from dbt_disco.debian.boot_configuration import debian_configuration

        return debian_configuration(configuration, options.dir)
    if options.dir is not None:
        raise CommandError("--dir says nothing without debian; did you mean `boot debian`?", 2)
    if options.kernel is None:
        raise CommandError("no kernel to boot; give --kernel FILE, or `boot debian`", 2)
    return configuration


# Running it.


def _boot(configuration: Configuration, options: Any) -> Outcome:
    """Lines are opened before anything else that takes time, and closed before what they are watched by."""
    from dbt_disco.virtual_machine.console.option import open_line
    from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

    with ExitStack() as lines:

        def opened(option: LineOption, purpose: str) -> Line:
            line = open_line(option, purpose)
            lines.callback(line.close)
            return line

        console = opened(options.serial, "serial line")
        virtio_console = (
            None if options.virtio_console is None else opened(options.virtio_console, "virtio console")
        )
        virtual_machine = VirtualMachine(configuration, console, virtio_console=virtio_console)
        start_up = perf_counter() - _STARTED
        try:
            with lines:
                outcome = _run(virtual_machine, console, virtio_console)
            _report(virtual_machine, outcome, options.stats, start_up)
        finally:
            virtual_machine.close()
    return outcome


def _run(virtual_machine: VirtualMachine, console: Line, virtio_console: Line | None) -> Outcome:
    """Run to the end, with signals and the terminal in our hands, and everything written out."""
    from dbt_disco.virtual_machine.stop_signals import StopSignals

    lines = [console] if virtio_console is None else [console, virtio_console]
    terminal = _terminal(virtual_machine, lines)
    with StopSignals(virtual_machine, terminal), terminal or nullcontext():
        for line in lines:
            line.start(virtual_machine.surroundings)
        try:
            return virtual_machine.run()
        finally:
            for line in lines:
                line.flush()


def _terminal(virtual_machine: VirtualMachine, lines: list[Line]) -> Terminal | None:
    """The terminal that one of the lines is on, if any, with somebody who answers Ctrl-A."""
    from dbt_disco.virtual_machine.console.stdio_line import StdioLine

    for line in lines:
        if isinstance(line, StdioLine) and line.is_terminal:
            from dbt_disco.virtual_machine.console.monitor_prompt import MonitorPrompt
            from dbt_disco.virtual_machine.console.terminal import Terminal

            terminal = Terminal(sys.stdin.fileno())
            line.operator = MonitorPrompt(virtual_machine, terminal)
            return terminal
    return None


def _report(virtual_machine: VirtualMachine, outcome: Outcome, stats: str | None, start_up: float) -> None:
    if outcome.ending is Ending.STOPPED and sys.stderr.isatty():
        print(file=sys.stderr)  # the guest may have left the cursor anywhere
    if outcome.reason:
        print(f"dbt-disco: {outcome.reason}", file=sys.stderr)
    if stats is not None:
        from dbt_disco.statistics import as_json, as_text
        from dbt_disco.virtual_machine.statistics import measure, titles

        statistics = measure(virtual_machine, start_up)
        text = as_json(statistics) if stats == "json" else as_text(statistics, titles(statistics))
        sys.stderr.write(text)
