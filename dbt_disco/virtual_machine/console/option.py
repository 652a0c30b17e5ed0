"""What follows `--serial`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from dbt_disco.virtual_machine.console.line import Line
from dbt_disco.virtual_machine.console.tcp_line import TcpLine, TcpOptions

STDIO: Final = "stdio"
_FORMS: Final = "stdio, file:FILE, pty or tcp:HOST:PORT[,server=on][,wait=off]"
_SWITCH: Final = {"on": True, "off": False}
_PORTS: Final = range(1 << 16)

LineOption = str | Path | TcpOptions
"""`stdio` or `pty`, the file's name, or the connection."""


def parse_line(text: str) -> LineOption:
    """Read `stdio`, `file:FILE`, `pty`, or `tcp:[HOST]:PORT[,server[=on|off]][,wait=on|off|,nowait]`.

    ValueError with the reason if the text is not of this form.
    """
    kind, colon, rest = text.partition(":")
    if kind in (STDIO, "pty") and not colon:
        return kind
    if kind == "file" and rest:
        return Path(rest)
    if kind == "tcp" and rest:
        return _parse_tcp(text, rest)
    raise ValueError(f"{text}: it is {_FORMS}")


def open_line(option: LineOption, purpose: str) -> Line:
    """Make the line. Raises LineError if its other side cannot be had.

    Where that is only known now, the user is told, with the line's `purpose`.
    """
    if isinstance(option, TcpOptions):
        return TcpLine(option)
    if isinstance(option, Path):
        from dbt_disco.virtual_machine.console.file_line import FileLine

        return FileLine(option)
    if option == STDIO:
        from dbt_disco.virtual_machine.console.stdio_line import StdioLine

        return StdioLine()
    from dbt_disco.virtual_machine.console.pty_line import PtyLine

    line = PtyLine()
    print(f"dbt-disco: the {purpose} is {line.name}", file=sys.stderr, flush=True)
    return line


def _parse_tcp(text: str, rest: str) -> TcpOptions:
    address, *settings = rest.split(",")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) not in _PORTS:
        raise ValueError(f"{text}: {address!r} is not HOST:PORT")
    switches = {"server": False, "wait": True}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if name.startswith("no") and name[2:] in switches and not equals:
            name, value = name[2:], "off"
        if name not in switches or (value or "on") not in _SWITCH:
            raise ValueError(f"{text}: {setting!r} is none of server=on|off, wait=on|off")
        switches[name] = _SWITCH[value or "on"]
    default_host = "" if switches["server"] else "localhost"
    return TcpOptions(host.strip("[]") or default_host, int(port), switches["server"], switches["wait"])
