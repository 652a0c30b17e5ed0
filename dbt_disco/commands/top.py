"""`dbt-disco top`: a running cluster, live."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser

_HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"
_LEAST_INTERVAL: Final = 0.1


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _LEAST_INTERVAL <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: it is a number of seconds, at least {_LEAST_INTERVAL}")
    return seconds


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "top",
        help="show a running cluster live",
        description="Show what a running cluster's virtual machines do, use and leave native code for. Ctrl-C ends it.",
    )
    option = parser.add_argument
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--once", action="store_true", help="once, over one interval, as plain text")
    form.add_argument("--json", action="store_true", help="a line of JSON for each interval")
    option(
        "--interval", type=_interval, default=2.0, metavar="SECONDS", help="between two looks (default: 2)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--cluster", metavar="NAME", help="which one (default: the only one)")
    which.add_argument("--socket", type=Path, metavar="FILE", help="the same, by its socket")
    return parser


def execute(options: Any) -> int:
    """Show it until the cluster goes, or this is interrupted."""
    from dbt_disco.cluster.client import connect
    from dbt_disco.cluster.top_table import rates, top_table

    clears = sys.stdout.isatty() and not options.once
    with connect(options.cluster, options.socket) as client:
        before = client.execute("query-statistics")
        while True:
            time.sleep(options.interval)
            now = client.execute("query-statistics")
            shown = rates(before, now)
            text = json.dumps(shown) + "\n" if options.json else top_table(shown)
            sys.stdout.write(_HOME_AND_CLEAR + text if clears and not options.json else text)
            sys.stdout.flush()
            if options.once:
                return 0
            before = now
