"""Statistics as a cluster gives them, for tests of what `top` makes of them."""

from __future__ import annotations

from typing import Any

MB = 1 << 20


def alive(vm: str, up: float, cpu: float, **counts: Any) -> dict[str, Any]:
    """A virtual machine that runs."""
    return {
        "vm": vm,
        "state": "running",
        "reason": "",
        "home_node": 1,
        "memory": 24 * MB,
        "restarts": 0,
        "up": up,
        "cpu": cpu,
        "last_cpu": 0,
        "exits": {},
        "monitor_calls": {},
        "tlb": {"refills": 0, "second_level_hits": 0, "fills": 0},
        "translations": {"regions": 3, "code_bytes": MB // 2, "compiled": 1, "from_cache": 2},
        "memory_use": {"touched": 3 * MB, "private": 2 * MB, "shared": MB, "copied_on_write": 0},
        "disks": [],
        **counts,
    }


def ended(vm: str) -> dict[str, Any]:
    """One that does not run."""
    nothing = {"home_node": 0, "memory": 24 * MB, "restarts": 0, "up": 0.0, "cpu": 0.5}
    return {"vm": vm, "state": "stopped", "reason": "the guest halted", **nothing}


def look(up: float, vms: list[dict[str, Any]], *, cpu: float = 0.0, **more: Any) -> dict[str, Any]:
    """All of a cluster with one CPU and two nodes."""
    return {
        "cluster": "c",
        "up": up,
        "nodes": 2,
        "memory": {"machine": 64 * MB, "in_use": 4 * MB, "in_use_of_nodes": [MB, 3 * MB]},
        "cpus": [{"number": 0, "node": 0, "cpu": cpu}],
        "disk_cache": [],
        "translation_cache": {
            "arena_used": 2 * MB,
            "arena_capacity": 256 * MB,
            "regions": 3,
            "code_bytes": MB // 2,
            "remembered": 1,
        },
        "vms": vms,
        **more,
    }


def cached_file(hits: int, misses: int) -> dict[str, Any]:
    """A file in the disk cache."""
    return {"file": "/root.ext4", "size": 400 * MB, "cached": MB, "open": 2, "hits": hits, "misses": misses}
