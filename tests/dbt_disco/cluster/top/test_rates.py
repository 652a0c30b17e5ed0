"""What `top` makes of two looks at a cluster's statistics."""

from __future__ import annotations

from typing import Any

from dbt_disco.cluster.top.rates import rates
from tests.dbt_disco.cluster.top.looks import alive, cached_file, ended, look


def one_of(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The first virtual machine's."""
    found: dict[str, Any] = rates(before, now)["vms"][0]
    return found


def test_rates_are_over_the_time_between() -> None:
    before = look(10, [alive("one", 9, 1, exits={"wait": 100}, instructions=0), ended("two")], cpu=1)
    exits = {"wait": 600, "device": 10}
    tlb = {"refills": 20, "second_level_hits": 40, "fills": 100}
    calls = {"time": 6}
    after = alive("one", 11, 2, exits=exits, tlb=tlb, monitor_calls=calls, instructions=60_000_000)
    shown = rates(before, look(12, [after, ended("two")], cpu=2))
    one, two = shown["vms"]
    assert (shown["seconds"], shown["cpus"][0]["percent"], one["percent"], two["percent"]) == (2, 50, 50, 0)
    assert one["exits_per_second"] == {"wait": 250, "device": 5} and one["mips"] == 30
    assert one["monitor_calls_per_second"] == {"time": 3}
    assert one["tlb_served_per_second"] == {"tlb": 30, "second_level": 20, "handler": 10}
    assert not {"mips", "exits_per_second", "tlb_per_second"} & two.keys()


def test_who_was_started_again_meanwhile_begins_anew() -> None:
    before = look(10, [alive("one", 0.4, 8, exits={"wait": 100}, instructions=500)])
    now = look(12, [alive("one", 0.6, 8.5, exits={"wait": 5}, instructions=4_000_000)])
    one = one_of(before, now)
    assert one["percent"] == 25 and one["exits_per_second"] == {"wait": 2.5} and one["mips"] == 2


def test_who_was_started_first_meanwhile() -> None:
    one = one_of(look(10, [ended("one")]), look(12, [alive("one", 1, 1.5, exits={"wait": 8})]))
    assert one["percent"] == 50 and one["exits_per_second"] == {"wait": 4}


def test_files_of_the_disk_cache() -> None:
    before, now = look(10, [], disk_cache=[]), look(12, [], disk_cache=[cached_file(0, 0)])
    (file,) = rates(before, now)["disk_cache"]
    assert file["hit_rate"] is None and file["pages_per_second"] == 0
    (file,) = rates(now, look(14, [], disk_cache=[cached_file(30, 10)]))["disk_cache"]
    assert file["hit_rate"] == 75 and file["pages_per_second"] == 20


def test_two_looks_at_the_same_time_are_no_error() -> None:
    same = look(10, [alive("one", 9, 1, exits={"wait": 100}, instructions=5), ended("two")])
    one = one_of(same, same)
    assert one["percent"] == 0 and one["exits_per_second"] == {"wait": 0} and one["mips"] == 0
