"""What `dbt-disco top` shows: a cluster's statistics, and what has changed between two times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Statistics = Mapping[str, Any]

_MB: Final = 1 << 20
_CAUSES: Final = 3
"""So many causes of exits are named for each virtual machine."""
_MEMORY: Final = ("touched", "private", "shared", "copied_on_write")
_VM_TITLES: Final = (
    *("VM", "STATE", "NODE", "CPU%", "MIPS", "LOCAL%", "EXITS/S"),
    *("TOUCHED", "PRIVATE", "SHARED", "COPIED", "MOST EXITS"),
)


def rates(before: Statistics, now: Statistics) -> dict[str, Any]:
    """`now` with rates since `before`: of processors and virtual machines in percent of one, of events per second.

    What has been started in between has no events yet.
    """
    seconds = max(now["up"] - before["up"], 1e-9)
    earlier = {vm["vm"]: vm for vm in before["vms"]}
    cpus = [
        {**cpu, "percent": 100 * (cpu["cpu"] - old["cpu"]) / seconds}
        for cpu, old in zip(now["cpus"], before["cpus"], strict=True)
    ]
    return {**now, "cpus": cpus, "vms": [_vm_rates(earlier[vm["vm"]], vm, seconds) for vm in now["vms"]]}


def _vm_rates(old: Statistics, vm: Statistics, seconds: float) -> dict[str, Any]:
    found = {**vm, "percent": 100 * (vm["cpu"] - old["cpu"]) / seconds}
    if vm["up"] < old["up"] or "exits" not in old:
        old = vm
    if "exits" in vm:
        counts = {cause: count - old["exits"].get(cause, 0) for cause, count in vm["exits"].items()}
        found["exits_per_second"] = {cause: count / seconds for cause, count in counts.items()}
    if "instructions" in vm:
        found["mips"] = (vm["instructions"] - old["instructions"]) / seconds / 1e6
    return found


def top_table(statistics: Statistics) -> str:
    """Lines of text: the cluster, its processors and nodes, its virtual machines."""
    memory, vms = statistics["memory"], statistics["vms"]
    cpus = (f"{cpu['number']} (node {cpu['node']}) {cpu['percent']:.1f}%" for cpu in statistics["cpus"])
    nodes = (f"node {node} {used / _MB:.1f}" for node, used in enumerate(memory["in_use_of_nodes"]))
    lines = [
        f"cluster {statistics['cluster']}, up {statistics['up']:.0f} s, {len(vms)} virtual machines",
        f"CPUs:   {', '.join(cpus)}",
        f"memory: {memory['in_use'] / _MB:.1f} of {memory['machine'] / _MB:.0f} MB in use; {', '.join(nodes)}",
        *_placement_lines(statistics.get("placement")),
        "",
    ]
    rows = [_VM_TITLES, *(_vm_row(vm) for vm in vms)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_VM_TITLES))]
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 or column == len(row) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _placement_lines(placement: Statistics | None) -> list[str]:
    """What has moved between nodes, if anything may."""
    if placement is None:
        return []
    return [
        f"pages:  {_percent(placement['local_fraction'])}% of accesses local; {placement['migrated']} migrated, "
        f"{placement['replicated']} replicated, {placement['collapsed']} collapsed, {placement['seconds']:.2f} s"
    ]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def _vm_row(vm: Statistics) -> Sequence[str]:
    use = vm.get("memory_use")
    exits = vm.get("exits_per_second", {})
    most = sorted((cause for cause in exits if exits[cause]), key=lambda cause: -exits[cause])[:_CAUSES]
    return (
        vm["vm"],
        vm["state"],
        str(vm["home_node"]),
        f"{vm['percent']:.1f}",
        f"{vm['mips']:.1f}" if "mips" in vm else "-",
        _percent(vm.get("local_fraction")),
        f"{sum(exits.values()):.0f}",
        *(f"{use[kind] / _MB:.1f}" if use else "-" for kind in _MEMORY),
        ", ".join(f"{cause} {exits[cause]:.0f}" for cause in most),
    )
