"""`dbt-disco cluster`: many virtual machines on one machine, described by a TOML file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.command_error import CommandError

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.cluster.client import Client

_WITH_VM: Final = {
    "console": "show a virtual machine's console, and type there; Ctrl-A x leaves it",
    "start": "start a virtual machine that has ended",
    "stop": "end a virtual machine; Debian is first asked to write out its file systems and power off",
    "kill": "end a virtual machine at once",
    "pause": "have a virtual machine stand still",
    "continue": "have a paused virtual machine go on",
}
"""Action → what it does to one virtual machine."""


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the actions and their options."""
    parser: ArgumentParser = subparsers.add_parser(
        "cluster",
        help="run many virtual machines on one machine",
        description="Run the virtual machines that a TOML file describes on one machine of several nodes.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    up = actions.add_parser("up", help="start a cluster")
    up.add_argument("file", type=Path, metavar="FILE.toml", help="what it is made of")
    up.add_argument("--detach", action="store_true", help="leave it in the background")
    up.add_argument(
        "--log", type=Path, metavar="FILE", help="with --detach: its log (default: beside the socket)"
    )
    up.add_argument("--socket", type=Path, metavar="FILE", help="where it answers (default: by its name)")
    for action, summary in {
        "ps": "list the virtual machines",
        "statistics": "show everything that is counted, as JSON",
        "audit": "recompute who uses which memory, and say what disagrees",
        "down": "stop all virtual machines, and end the cluster",
    }.items():
        reached = actions.add_parser(action, help=summary)
        _add_address(reached)
        if action == "ps":
            reached.add_argument("--json", action="store_true", help="as JSON")
    for action, summary in _WITH_VM.items():
        reached = actions.add_parser(action, help=summary)
        reached.add_argument("vm", metavar="VM", help="its name")
        _add_address(reached)
        if action == "console":
            reached.add_argument(
                "--log", action="store_true", help="print the lines kept, with their times, and leave"
            )
    return parser


def _add_address(parser: Any) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--cluster", metavar="NAME", help="which one (default: the only one)")
    which.add_argument("--socket", type=Path, metavar="FILE", help="the same, by its socket")


def execute(options: Any) -> int:
    """Carry out the action; returns the exit status."""
    if options.action == "up":
        return _up(options)
    from dbt_disco.cluster.client import connect

    with connect(options.cluster, options.socket) as client:
        return _ACTIONS[options.action](client, options)


def _up(options: Any) -> int:
    from dbt_disco.cluster.configuration_file import read_cluster
    from dbt_disco.cluster.detach import detach, is_detached, say_ready
    from dbt_disco.cluster.protocol import socket_path

    if options.log and not options.detach:
        raise CommandError("--log says nothing without --detach", 2)
    configuration = read_cluster(options.file)
    path = options.socket or socket_path(configuration.name)
    if options.detach:
        log = options.log or path.with_suffix(".log")
        process = detach(options.file, path, log)
        print(f"cluster {configuration.name}: up in process {process}; its log is {log}")
        return 0
    from dbt_disco.cluster.service import log_to_standard_error, serve

    log_to_standard_error()
    if is_detached():
        return serve(configuration, path, ends_by_itself=False, ready=say_ready)
    return serve(configuration, path, ends_by_itself=True)


def _ps(client: Client, options: Any) -> int:
    from dbt_disco.cluster.process_table import process_table

    vms = client.execute("query-vms")
    sys.stdout.write(json.dumps(vms, indent=2) + "\n" if options.json else process_table(vms))
    return 0


def _statistics(client: Client, options: Any) -> int:
    print(json.dumps(client.execute("query-statistics"), indent=2))
    return 0


def _console(client: Client, options: Any) -> int:
    if options.log:
        return _console_log(client, options.vm)
    from dbt_disco.cluster.attach import attach

    return attach(client, options.vm, history=True)


def _console_log(client: Client, vm: str) -> int:
    from datetime import datetime

    from dbt_disco.cluster.protocol import unpacked

    for line in client.execute("console-lines", vm=vm):
        when = line["time"]
        stamp = datetime.fromtimestamp(when).isoformat(" ", "milliseconds") if when else "…".ljust(23)
        print(f"{stamp} {unpacked(line['data']).decode(errors='replace').rstrip()}")
    return 0


def _vm_action(client: Client, options: Any) -> int:
    client.execute(f"vm-{options.action}", vm=options.vm)
    return 0


def _audit(client: Client, options: Any) -> int:
    found = client.execute("audit")["disagreements"]
    for line in found:
        print(line)
    if not found:
        print("everything agrees")
    return 1 if found else 0


def _down(client: Client, options: Any) -> int:
    client.execute("down")
    client.wait_for_end()
    return 0


_ACTIONS: Final[dict[str, Callable[[Client, Any], int]]] = {
    "ps": _ps,
    "statistics": _statistics,
    "audit": _audit,
    "down": _down,
    **dict.fromkeys(_WITH_VM, _vm_action),
    "console": _console,
}
