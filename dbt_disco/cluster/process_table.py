"""The table that `dbt-disco cluster ps` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dbt_disco.cluster.top.wording import duration

_COLUMNS: Final[tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...]] = (
    ("VM", lambda vm: vm["vm"]),
    ("STATE", lambda vm: vm["state"]),
    ("NODE", lambda vm: str(vm["home_node"])),
    ("MEMORY", lambda vm: f"{vm['memory'] >> 20}M"),
    ("UP", lambda vm: duration(vm["up"])),
    ("CPU", lambda vm: f"{vm['cpu']:.2f}"),
    ("RESTARTS", lambda vm: str(vm["restarts"])),
    ("REASON", lambda vm: vm["reason"]),
)
"""Title, and what stands below it; CPU is in seconds."""


def process_table(vms: Sequence[Mapping[str, Any]]) -> str:
    """One line for each virtual machine, below the titles."""
    rows = [[title for title, _ in _COLUMNS], *([text(vm) for _, text in _COLUMNS] for vm in vms)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
