"""What has happened in a cluster between two looks at its statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Statistics = Mapping[str, Any]

_SHORTEST: Final = 1e-6
"""Seconds between two looks, at least: there may be none."""
_NEVER_ASKED: Final = {"hits": 0, "misses": 0}


def rates(before: Statistics, now: Statistics) -> dict[str, Any]:
    """`now` with what has changed since `before`.

    `percent` is processor time, in percent of one processor; what ends in `_per_second` are events. What a virtual
    machine that has been started in between has done is all of that time.
    """
    seconds = max(now["up"] - before["up"], _SHORTEST)
    cpus = {cpu["number"]: cpu["cpu"] for cpu in before["cpus"]}
    vms = {vm["vm"]: vm for vm in before["vms"]}
    files = {file["file"]: file for file in before["disk_cache"]}
    return {
        **now,
        "seconds": seconds,
        "cpus": [
            {**cpu, "percent": 100 * (cpu["cpu"] - cpus[cpu["number"]]) / seconds} for cpu in now["cpus"]
        ],
        "disk_cache": [
            _file_rates(files.get(file["file"], _NEVER_ASKED), file, seconds) for file in now["disk_cache"]
        ],
        "vms": [_vm_rates(vms[vm["vm"]], vm, seconds) for vm in now["vms"]],
    }


def served(tlb: Statistics) -> dict[str, float]:
    """Where misses of the tables were served, of counts or rates.

    By the guest's `tlb`, which is also where addresses count that need none (KSEG0 and KSEG1); by the `second_level`;
    by the guest's own `handler`, which is a TLB refill exception. What the tables serve is counted nowhere: that is
    the fast path.
    """
    return {
        "tlb": tlb["fills"] - tlb["second_level_hits"],
        "second_level": tlb["second_level_hits"],
        "handler": tlb["refills"],
    }


def hit_rate(file: Statistics) -> float | None:
    """Pages that were there when they were asked for, in percent; None if none has been asked for."""
    asked = file["hits"] + file["misses"]
    return 100 * file["hits"] / asked if asked else None


def _file_rates(old: Statistics, file: Statistics, seconds: float) -> dict[str, Any]:
    asked = max(file["hits"] + file["misses"] - old["hits"] - old["misses"], 0)
    return {**file, "hit_rate": hit_rate(file), "pages_per_second": asked / seconds}


def _vm_rates(old: Statistics, vm: Statistics, seconds: float) -> dict[str, Any]:
    found = {**vm, "percent": 100 * (vm["cpu"] - old["cpu"]) / seconds}
    is_same_life = vm["up"] >= old["up"] + seconds / 2 - _SHORTEST
    for counts in ("exits", "monitor_calls", "tlb"):
        if counts in vm:
            earlier = old.get(counts, {}) if is_same_life else {}
            found[f"{counts}_per_second"] = {
                name: (count - earlier.get(name, 0)) / seconds for name, count in vm[counts].items()
            }
    if "tlb" in vm:
        found["tlb_served_per_second"] = served(found["tlb_per_second"])
    if "instructions" in vm:
        earlier_instructions = old.get("instructions", 0) if is_same_life else 0
        found["mips"] = (vm["instructions"] - earlier_instructions) / seconds / 1e6
    return found
