"""`dbt-disco top`: a running cluster, live."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.cluster.client import Client

_HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"
_LEAST_INTERVAL: Final = 0.1
_STREAMS: Final = (0, 1, 2)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _LEAST_INTERVAL <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: it is a number of seconds, from {_LEAST_INTERVAL} to 3600")
    return seconds


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "top",
        help="show a running cluster live",
        description="Show what a running cluster's virtual machines do and use. On a terminal it fills the screen, if "
        "Textual is installed; else it is plain text, which Ctrl-C ends.",
    )
    option = parser.add_argument
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--once", action="store_true", help="once, over one interval, as plain text")
    form.add_argument("--json", action="store_true", help="a line of JSON for each interval")
    form.add_argument("--plain", action="store_true", help="plain text, on a terminal, too")
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
    from dbt_disco.command_error import CommandError

    with connect(options.cluster, options.socket) as client:
        if options.once:
            _show_plainly(client, options)
            return 0
        try:
            if options.json or options.plain:
                _show_plainly(client, options)
            elif obstacle := _obstacle():
                _show_plainly(client, options, obstacle)
            else:
                return _fill_the_screen(client, options.interval)
        except CommandError:  # it has gone, which is no error of anybody's here
            _say(f"cluster {client.about['cluster']} has ended")
    return 0


def _obstacle() -> str:
    """Why the screen cannot be filled; nothing if it can."""
    if not all(map(os.isatty, _STREAMS)) or os.environ.get("TERM", "dumb") == "dumb":
        return "no terminal to fill: plain text; --json is for programs"
    if find_spec("textual") is None:
        return "Textual is not installed: plain text; `pip install '.[top]'` fills the screen"
    return ""


def _say(text: str) -> None:
    print(f"dbt-disco: {text}", file=sys.stderr, flush=True)


def _fill_the_screen(client: Client, interval: float) -> int:
    from dbt_disco.cluster.top.application import TopApplication  # late: Textual is an extra

    application = TopApplication(client, interval)
    last_words = application.run()
    if last_words:
        _say(last_words)
    return application.return_code or 0


def _show_plainly(client: Client, options: Any, hint: str = "") -> None:
    from dbt_disco.cluster.top.looks import Looks
    from dbt_disco.cluster.top.plain_text import plain_text

    clears = sys.stdout.isatty() and not options.once and not options.json
    if hint and not clears:
        _say(hint)
    looks = Looks(client)
    while True:
        time.sleep(options.interval)
        shown = looks.look()
        text = json.dumps(shown) + "\n" if options.json else plain_text(shown)
        sys.stdout.write(f"{_HOME_AND_CLEAR}{text}{hint}" if clears else text)
        sys.stdout.flush()
        if options.once:
            return
