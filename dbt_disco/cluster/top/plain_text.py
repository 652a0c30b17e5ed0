"""`dbt-disco top` as plain text: all that is known of a cluster, in sections of at most 100 columns for usual names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dbt_disco.cluster.top.wording import (
    by_size,
    duration,
    in_percent,
    megabytes,
    placement_words,
    sharing_words,
    translation_words,
)

Statistics = Mapping[str, Any]
Rows = Sequence[Sequence[str]]

_WIDTH: Final = 100
_MEMORY: Final = ("touched", "private", "shared", "copied_on_write")
_VM_TITLES: Final = (
    *("VM", "STATE", "NODE", "CPU", "CPU%", "MIPS", "EXITS/S", "CALLS/S"),
    *("TOUCHED", "PRIVATE", "SHARED", "COPIED"),
)
_TLB_TITLES: Final = (
    "VM",
    "TLB MISSES/S",
    "BY THE TLB",
    "SECOND LEVEL",
    "HANDLER",
    "LOCAL%",
    "REGIONS",
    "CODE MB",
)
_DISK_TITLES: Final = (
    "CACHED MB",
    "OF MB",
    "USERS",
    "HITS",
    "MISSES",
    "HIT%",
    "PAGES/S",
    "FILE IN THE DISK CACHE",
)


def plain_text(shown: Statistics) -> str:
    """Everything, from `rates`. Memory is in MB of 2^20 bytes."""
    vms = shown["vms"]
    sections = [
        _head(shown),
        _table([_VM_TITLES, *(_vm_row(vm) for vm in vms)], left=(0, 1)),
        _table([_TLB_TITLES, *(_tlb_row(vm) for vm in vms if "tlb" in vm)]),
        _causes("EXITS A SECOND", "exits_per_second", vms),
        _causes("MONITOR CALLS A SECOND", "monitor_calls_per_second", vms),
        _table([_DISK_TITLES, *(_disk_row(file) for file in shown["disk_cache"])], left=(7,)),
    ]
    return "\n".join(f"{section}\n" for section in sections if section)


def _head(shown: Statistics) -> str:
    memory, vms = shown["memory"], shown["vms"]
    states = Counter(vm["state"] for vm in vms)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    node_size = memory["machine"] // len(memory["in_use_of_nodes"])
    cpus = [f"{cpu['number']} (node {cpu['node']}) {cpu['percent']:.1f} %" for cpu in shown["cpus"]]
    nodes = [
        f"node {node} {megabytes(used)} of {megabytes(node_size)}"
        for node, used in enumerate(memory["in_use_of_nodes"])
    ]
    total = f"{megabytes(memory['in_use'])} of {megabytes(memory['machine'])} MB in use"
    machines = "1 virtual machine" if len(vms) == 1 else f"{len(vms)} virtual machines"
    lines = [f"cluster {shown['cluster']}, up {duration(shown['up'])}, {machines}: {counts}"]
    lines += _wrapped("CPUs", cpus) + _wrapped("memory", [total, *nodes])
    lines += _wrapped("code", [translation_words(shown["translation_cache"])])
    for title, words in (("placement", placement_words(shown)), ("sharing", sharing_words(shown))):
        lines += _wrapped(title, [words]) if words else []
    return "\n".join(lines)


def _wrapped(title: str, parts: Sequence[str]) -> list[str]:
    """Parts with commas between them, on as many lines as they need."""
    lines = [f"{title + ':':<10} "]
    for number, part in enumerate(parts, 1):
        text = part if number == len(parts) else f"{part}, "
        if len(lines[-1]) + len(text.rstrip()) > _WIDTH and lines[-1].strip():
            lines.append(" " * 11)
        lines[-1] += text
    return [line.rstrip() for line in lines]


def _table(rows: Rows, left: Sequence[int] = (0,)) -> str:
    """Columns, those numbered in `left` flush left; nothing if there are only titles."""
    if len(rows) == 1:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _causes(title: str, rates: str, vms: Sequence[Statistics]) -> str:
    """For each virtual machine that does something its events by cause, the most frequent first."""
    busy = [(vm["vm"], by_size(vm.get(rates, {}))) for vm in vms]
    width = max([len("VM"), *(len(name) for name, counts in busy if counts)])
    lines = [f"{'VM':<{width}}  {title}"]
    for name, counts in busy:
        line = f"{name:<{width}} "
        for number, (cause, rate) in enumerate(counts, 1):
            part = f" {cause} {rate:.0f}" + ("," if number < len(counts) else "")
            if len(line) + len(part) > _WIDTH:
                lines.append(line)
                line = " " * (width + 1)
            line += part
        lines += [line] if counts else []
    return "\n".join(lines) if len(lines) > 1 else ""


def _vm_row(vm: Statistics) -> Sequence[str]:
    use = vm.get("memory_use")
    return (
        vm["vm"],
        vm["state"],
        str(vm["home_node"]),
        str(vm["last_cpu"]) if vm.get("last_cpu", -1) >= 0 else "-",
        f"{vm['percent']:.1f}",
        f"{vm['mips']:.1f}" if "mips" in vm else "-",
        *(f"{sum(vm[rates].values()):.0f}" if rates in vm else "-" for rates in _RATES),
        *(megabytes(use[kind]) if use else "-" for kind in _MEMORY),
    )


_RATES: Final = ("exits_per_second", "monitor_calls_per_second")


def _tlb_row(vm: Statistics) -> Sequence[str]:
    by = vm["tlb_served_per_second"]
    local = vm.get("local_fraction")
    return (
        vm["vm"],
        f"{sum(by.values()):.0f}",
        *(f"{by[where]:.0f}" for where in ("tlb", "second_level", "handler")),
        "-" if local is None else in_percent(100 * local),
        str(vm["translations"]["regions"]),
        megabytes(vm["translations"]["code_bytes"]),
    )


def _disk_row(file: Statistics) -> Sequence[str]:
    return (
        megabytes(file["cached"]),
        megabytes(file["size"]),
        str(file["open"]),
        str(file["hits"]),
        str(file["misses"]),
        "-" if file["hit_rate"] is None else in_percent(file["hit_rate"]),
        f"{file['pages_per_second']:.0f}",
        file["file"],
    )
