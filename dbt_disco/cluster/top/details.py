"""The lower part of the full screen: one virtual machine in detail, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.visual import VisualType
from textual.widgets import Static

from dbt_disco.cluster.top.wording import (
    by_size,
    duration,
    in_percent,
    megabytes,
    placement_words,
    sharing_words,
    shortened,
    translation_words,
)

Statistics = Mapping[str, Any]


class Details(Static):
    """Lines about something."""

    def show(self, content: VisualType) -> None:
        """Bring them up to date. The screen is laid out anew, which takes long, only if there are more or fewer."""
        self.update(content, layout=False)
        width, height = self.content_size
        if not height or self.visual.get_height(self.styles.get_rules(), width) != height:
            self.refresh(layout=True)


def vm_details(vm: Statistics) -> Table:
    """A line for each subject."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, words in _subjects(vm).items():
        if words:
            grid.add_row(title, words)
    return grid


def _subjects(vm: Statistics) -> dict[str, str]:
    where = f"node {vm['home_node']}"
    if vm.get("last_cpu", -1) >= 0:
        where += f", CPU {vm['last_cpu']}"
    lived = f"up {duration(vm['up'])}, {vm['restarts']} restarts"
    subjects = {"state": f"{vm['state']}; {where}; {lived}", "reason": vm["reason"]}
    if "memory_use" in vm:
        use = {kind: size for kind, size in vm["memory_use"].items() if kind != "touched"}
        parts = ", ".join(f"{kind.replace('_', ' ')} {megabytes(size)}" for kind, size in use.items())
        touched = megabytes(vm["memory_use"]["touched"])
        subjects["memory"] = f"{touched} of {megabytes(vm['memory'])} MB touched: {parts}"
        subjects["exits/s"] = _counts(vm["exits_per_second"])
        subjects["calls/s"] = _counts(vm["monitor_calls_per_second"])
        subjects["TLB/s"] = _tlb(vm["tlb_served_per_second"])
        subjects["local"] = _local(vm)
        subjects["code"] = _code(vm["translations"])
        subjects["disks"] = "\n".join(map(_disk, vm["disks"]))
    return subjects


def _counts(rates: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {rate:.0f}" if rate >= 10 else f"{name} {rate:.1f}" for name, rate in by_size(rates)
    )


def _tlb(by: Mapping[str, float]) -> str:
    return (
        f"{sum(by.values()):.0f} misses, served by the TLB {by['tlb']:.0f}, "
        f"second level {by['second_level']:.0f}, handler {by['handler']:.0f}"
    )


def _local(vm: Statistics) -> str:
    fraction = vm.get("local_fraction")
    return "" if fraction is None else f"{in_percent(100 * fraction)} % of accesses"


def _code(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['regions']} regions, {megabytes(counts['code_bytes'])} MB; "
        f"{counts['compiled']} compiled, {counts['from_cache']} known before"
    )


def _disk(disk: Statistics) -> str:
    image = shortened(disk["image"])
    if "mapped" not in disk:
        return f"{image}: not cached"
    return f"{image}: {megabytes(disk['mapped'])} MB mapped, {megabytes(disk['copied'])} copied"


def shared_details(shown: Statistics, width: int) -> Group:
    """The disk cache, the translation cache, and who sees to where memory is."""
    disks = Table(box=None, padding=(0, 1, 0, 0), expand=True)
    disks.add_column("disk cache", no_wrap=True)
    for title in ("MB", "of", "hit%"):
        disks.add_column(title, justify="right", no_wrap=True)
    for file in shown["disk_cache"]:
        rate = file["hit_rate"]
        disks.add_row(
            shortened(file["file"], max(width - 20, 8)),
            megabytes(file["cached"]),
            f"{file['size'] / (1 << 20):.0f}",
            "-" if rate is None else in_percent(rate),
        )
    subjects = {
        "code": translation_words(shown["translation_cache"]),
        "placement": placement_words(shown),
        "sharing": sharing_words(shown),
    }
    lines = [Text.assemble((f"{title}: ", "bold"), words) for title, words in subjects.items() if words]
    return Group(disks, *lines)
