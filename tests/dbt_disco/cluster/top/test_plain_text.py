"""`top` as plain text."""

from __future__ import annotations

from dbt_disco.cluster.top.plain_text import plain_text
from dbt_disco.cluster.top.rates import rates
from tests.dbt_disco.cluster.top.looks import alive, cached_file, ended, look


def test_all_of_it() -> None:
    before = look(10, [alive("one", 9, 1, exits={"wait": 100}, instructions=0), ended("two")], cpu=1)
    after = alive(
        "one",
        11,
        2,
        exits={"wait": 600, "store_to_code": 10},
        monitor_calls={"write_console": 6},
        tlb={"refills": 20, "second_level_hits": 40, "fills": 100},
        instructions=60_000_000,
        local_fraction=0.8333,
    )
    placement = {"local_fraction": 0.5, "sampled": 9, "migrated": 3, "replicated": 2, "collapsed": 1}
    now = look(
        12,
        [after, ended("two")],
        cpu=2,
        disk_cache=[cached_file(3, 1)],
        placement=placement,
        content_sharing={"merged": 7, "seconds": 0.25},
    )
    text = plain_text(rates(before, now))
    head, machines, tlb, exits, calls, disks = text.split("\n\n")
    assert head.splitlines() == [
        "cluster c, up 0:00:12, 2 virtual machines: 1 running, 1 stopped",
        "CPUs:      0 (node 0) 50.0 %",
        "memory:    4.0 of 64.0 MB in use, node 0 1.0 of 32.0, node 1 3.0 of 32.0",
        "code:      3 regions, 0.5 MB; arena 2.0 of 256.0 MB; 1 translations compiled here",
        "placement: 50.0 % local, 9 sampled, 3 migrated, 2 replicated, 1 collapsed",
        "sharing:   merged 7, seconds 0.25",
    ]
    rows = [line.split() for line in machines.splitlines()]
    assert rows[0][:6] == ["VM", "STATE", "NODE", "CPU", "CPU%", "MIPS"]
    assert rows[1] == ["one", "running", "1", "0", "50.0", "30.0", "255", "3", "3.0", "2.0", "1.0", "0.0"]
    assert rows[2] == ["two", "stopped", "0", "-", "0.0", *"-------"]
    assert tlb.splitlines()[1].split() == ["one", "60", "30", "20", "10", "83.3", "3", "0.5"]
    assert exits.splitlines() == ["VM   EXITS A SECOND", "one  wait 250, store to code 5"]
    assert calls.splitlines() == ["VM   MONITOR CALLS A SECOND", "one  write console 3"]
    assert disks.splitlines()[1].split() == ["1.0", "400.0", "2", "3", "1", "75.0", "2", "/root.ext4"]
    assert text.endswith("\n") and max(map(len, text.splitlines())) <= 100


def test_what_there_is_nothing_of_is_left_out() -> None:
    same = look(10, [ended("two")])
    assert [part.split()[0] for part in plain_text(rates(same, same)).split("\n\n")] == ["cluster", "VM"]


def test_many_things_take_many_lines() -> None:
    causes = {f"cause_{number}": 1000 * number for number in range(30)}
    names = [f"machine-{number}" for number in range(40)]
    cpus = [{"number": number, "node": 0, "cpu": 0.0} for number in range(24)]
    before = look(10, [alive(name, 9, 1) for name in names], cpus=cpus)
    now = look(12, [alive(name, 11, 1, exits=causes) for name in names], cpus=cpus)
    lines = plain_text(rates(before, now)).splitlines()
    assert max(map(len, lines)) <= 100
    first = lines.index("VM          EXITS A SECOND") + 1
    second = next(
        place for place, line in enumerate(lines) if line.startswith("machine-1 ") and place > first
    )
    words = " ".join(
        line.split(maxsplit=1)[1] if number == 0 else line.strip()
        for number, line in enumerate(lines[first:second])
    )
    assert words.split(", ") == [f"cause {number} {500 * number}" for number in range(29, 0, -1)]
