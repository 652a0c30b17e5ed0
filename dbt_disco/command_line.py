"""The `dbt-disco` command: finds the module of the command given, and turns every error into one line."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from dbt_disco.argument_parser import ArgumentParser
from dbt_disco.command_error import FAILED, CommandError
from dbt_disco.process_end import die_by_signal, flush_output
from dbt_disco.standard_streams import replace_closed

COMMANDS: Final = {
    "demo": "show in a minute what this is about",
    "run": "run a MIPS Linux program",
    "dump": "show the code a program is translated to",
    "bench": "run the benchmark programs under several engines and compare",
    "cache": "show or clear the translation cache",
    "fetch": "get an operating system to boot",
    "boot": "boot an operating system on a virtual machine",
    "cluster": "run many virtual machines on one machine",
    "top": "show a running cluster live",
}
"""Command → summary; `dbt_disco.commands.<command>` implements it."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Why output cannot be written, through no fault of ours."""

_FEW_COLLECTIONS: Final = 50_000
"""Objects to be allocated before the garbage collector looks: what is loaded here stays, and the more of it there is,
the longer a look takes."""

TRACEBACK_VARIABLE: Final = "DBT_DISCO_TRACEBACK"
"""Environment variable that asks for the traceback of an internal error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (default: this process's); returns the exit status.

    `dbt-disco run` does not return: it ends the process as the guest has ended.
    """
    gc.set_threshold(_FEW_COLLECTIONS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    replace_closed()
    try:
        status = _execute(words)
        flush_output()
        return status
    except CommandError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return die_by_signal(signal.SIGINT)
    except BrokenPipeError:
        return die_by_signal(signal.SIGPIPE)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return _fail(f"{error.filename or 'the output'}: cannot be written: {error.strerror}", 1)
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        hint = f"set {TRACEBACK_VARIABLE}=1 to see where"
        reason = " ".join(str(error).split()) or "no message"
        return _fail(f"internal error: {type(error).__name__}: {reason}; {hint}", FAILED)


def _execute(words: list[str]) -> int:
    parser = ArgumentParser(
        prog="dbt-disco",
        description="Run, inspect and benchmark MIPS programs by dynamic binary translation.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=ArgumentParser)
    if words and words[0] in COMMANDS:
        command = importlib.import_module(f"dbt_disco.commands.{words[0]}")
        return int(command.execute(command.add_parser(subparsers).parse_args(words[1:])))
    for name, summary in COMMANDS.items():
        subparsers.add_parser(name, help=summary)
    options = parser.parse_args(words)
    if options.version:
        print(f"dbt-disco {_version()}")
        return 0
    parser.print_help(sys.stderr)
    return 2


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dbt-disco")
    except PackageNotFoundError:
        return "(not installed)"


def _fail(message: str, status: int) -> int:
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message)
    with suppress(OSError):  # where else could it be said
        print(f"dbt-disco: {line}", file=sys.stderr)
    return status
