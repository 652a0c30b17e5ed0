"""What `top` makes of two looks at a cluster's statistics."""

from __future__ import annotations

from typing import Any

from dbt_disco.cluster.top_table import rates, top_table

MB = 1 << 20


def look(up: float, cpu: float, exits: dict[str, int], vm_up: float, instructions: int) -> dict[str, Any]:
    use = {"touched": 3 * MB, "private": 2 * MB, "shared": MB, "copied_on_write": 0}
    vm = {"vm": "one", "state": "running", "home_node": 1, "up": vm_up, "cpu": cpu}
    alive = {"exits": exits, "instructions": instructions, "memory_use": use}
    return {
        "cluster": "c",
        "up": up,
        "memory": {"machine": 64 * MB, "in_use": 4 * MB, "in_use_of_nodes": [MB, 3 * MB]},
        "cpus": [{"number": 0, "node": 0, "cpu": cpu}],
        "vms": [{**vm, **alive}, {"vm": "two", "state": "stopped", "home_node": 0, "up": 0.0, "cpu": 0.0}],
    }


def test_rates_are_over_the_time_between() -> None:
    shown = rates(look(10, 1, {"wait": 100}, 9, 0), look(12, 2, {"wait": 600, "device": 10}, 11, 60_000_000))
    one, two = shown["vms"]
    assert (shown["cpus"][0]["percent"], one["percent"], two["percent"]) == (50, 50, 0)
    assert one["exits_per_second"] == {"wait": 250, "device": 5} and one["mips"] == 30


def test_who_was_started_again_meanwhile_begins_anew() -> None:
    (one, _) = rates(look(10, 8, {"wait": 100}, 9, 500), look(12, 8.5, {"wait": 5}, 0.5, 40))["vms"]
    assert one["percent"] == 25 and one["exits_per_second"] == {"wait": 0} and one["mips"] == 0


def test_the_table() -> None:
    before, now = look(10, 1, {"wait": 100}, 9, 0), look(12, 2, {"wait": 600, "device": 10}, 11, 60_000_000)
    head, cpus, memory, empty, titles, one, two = top_table(rates(before, now)).splitlines()
    assert head == "cluster c, up 12 s, 2 virtual machines"
    assert cpus == "CPUs:   0 (node 0) 50.0%"
    assert memory == "memory: 4.0 of 64 MB in use; node 0 1.0, node 1 3.0" and not empty
    assert titles.split()[:4] == ["VM", "STATE", "NODE", "CPU%"]
    assert " ".join(one.split()) == "one running 1 50.0 30.0 - 255 3.0 2.0 1.0 0.0 wait 250, device 5"
    assert two.split() == ["two", "stopped", "0", "0.0", "-", "-", "0", "-", "-", "-", "-"]
