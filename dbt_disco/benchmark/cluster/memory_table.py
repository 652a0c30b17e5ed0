"""What several virtual machines see and what the machine holds, in the categories of the paper's figure 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE
from rich.table import Table

from dbt_disco.cluster.memory_report import COPIES, DISK_CACHE, REST, Part

MB: Final = 1_000_000
KERNEL_TEXT: Final = "kernel text"
KERNEL_DATA: Final = "kernel data"
_OF_LINUX: Final = {"Kernel code": KERNEL_TEXT, "Kernel data": KERNEL_DATA, "Kernel bss": KERNEL_DATA}
"""What /proc/iomem calls them."""
_TITLES: Final = {
    KERNEL_TEXT: "kernel text",
    KERNEL_DATA: "kernel data: what is linked into it",
    REST: "kernel data: all it allocates, for processes, too",
    DISK_CACHE: "disk cache",
    COPIES: "copies",
}


@dataclass(frozen=True)
class MemoryUse:
    """Bytes by category, at some time."""

    seen: Mapping[str, int]
    held: Mapping[str, int]
    monitor: int
    """What its process has for itself, beyond machine pages."""

    @property
    def all_seen(self) -> int:
        """By all virtual machines together."""
        return sum(self.seen.values())

    @property
    def all_held(self) -> int:
        """Machine pages allocated."""
        return sum(self.held.values())


def kernel_parts(iomem: str) -> list[Part]:
    """Where Linux says that its text and data are."""
    parts = []
    for line in iomem.splitlines():
        where, colon, what = line.strip().partition(" : ")
        if colon and what in _OF_LINUX:
            first, _, last = where.partition("-")
            parts.append((_OF_LINUX[what], int(first, 16), int(last, 16)))
    return parts


def memory_table(uses: Mapping[int, MemoryUse]) -> Table:
    """By numbers of virtual machines."""
    table = Table(
        title="Memory of Debian virtual machines, in MB: as they see it, and as the machine holds it",
        title_justify="left",
        box=SIMPLE,
    )
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("", no_wrap=True)
    for count in uses:
        table.add_column(f"{count}: seen", justify="right", no_wrap=True)
        table.add_column("held", justify="right", no_wrap=True)
    for name, title in _TITLES.items():
        cells = (use.get(name) for count in uses.values() for use in (count.seen, count.held))
        table.add_row(title, *map(_megabytes, cells))
    table.add_row("monitor", *(cell for use in uses.values() for cell in ("", _megabytes(use.monitor))))
    table.add_section()
    totals = (total for use in uses.values() for total in (use.all_seen, use.all_held))
    table.add_row("all but the monitor", *map(_megabytes, totals))
    parts = (cell for use in uses.values() for cell in ("", f"{100 * use.all_held / use.all_seen:.0f} %"))
    table.add_row("of what they see", *parts)
    return table


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / MB:.1f}"
