"""Pauses, kills, restarts, typing and holding at random, beside guests that must not notice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration, Restart
from dbt_disco.cluster.member import Member, MemberState
from tests.dbt_disco.cluster.clusters import member, running, wait_for_output, wait_for_state
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, ENDLESS, PREBUILT, raw_image

SYSTEM = PREBUILT / "mipsel" / "system"
JUDGES = ("preemption", "processes", "timer_interrupt")
"""Programs whose result must be right however they are interrupted, as long as time stands still for them."""
STEPS = 150


def guests(directory: Path) -> list[tuple[str, Path]]:
    programs = {
        "echo": ECHO,
        "spins": ENDLESS["a branch to itself"],
        "prints": ENDLESS["printing"],
        "stores": ENDLESS["stores to its own code"],
    }
    for name, lines in programs.items():
        (directory / name).write_bytes(raw_image(*lines))
    return [(name, directory / name) for name in programs] + [(name, SYSTEM / name) for name in JUDGES]


def disturb(cluster: Cluster, randomness: random.Random, victims: list[Member]) -> None:
    """Do one thing to one of them."""
    victim = randomness.choice(victims)
    what = randomness.choice(["pause", "resume", "kill", "start", "type", "hold", "hold all"])
    match what:
        case "pause":
            cluster.do(victim.pause).result()
        case "resume":
            cluster.do(victim.resume).result()
        case "kill":
            cluster.do(victim.kill, "at random").result()
        case "start":
            cluster.do(cluster.start_member, victim).result()
        case "type":
            victim.console.type(b"abc")
        case "hold":
            task = victim.task
            if task is not None:
                with cluster.scheduler.hold(task):
                    pass
        case "hold all":
            assert cluster.do(cluster.audit).result() == []


def live(seed: int, directory: Path) -> None:
    randomness = random.Random(seed)
    programs = guests(directory)
    members = [member(name, kernel, home_node=number % 2) for number, (name, kernel) in enumerate(programs)]
    judges = [
        member(f"judge-{name}", SYSTEM / name, home_node=number % 2, restart=Restart.ALWAYS)
        for number, name in enumerate(JUDGES)
    ]
    witness = member("witness", directory / "echo")
    with running([*members, *judges, witness], MachineConfiguration(2, 1, 128 << 20)) as cluster:
        everybody = cluster.members
        victims = [everybody[each.name] for each in members]
        for _ in range(STEPS):
            disturb(cluster, randomness, victims)
        for victim in victims:
            cluster.do(victim.kill, "the end").result()
            wait_for_state(victim, MemberState.STOPPED, MemberState.DEFINED)
        for judge in judges:
            console = everybody[judge.name].console
            wait_for_output(everybody[judge.name], b" passed, ")
            output = console.read(0)[0]
            verdicts = [line for line in output.splitlines() if b" passed, " in line]
            assert all(line.endswith(b" passed, 0 failed") for line in verdicts), output
        everybody["witness"].console.type(b"x")
        wait_for_output(everybody["witness"], b"x")
        assert cluster.do(cluster.audit).result() == []


@pytest.mark.parametrize("offset", range(3))
def test_random_lives(offset: int, first_seed: int, tmp_path: Path) -> None:
    live(first_seed + offset, tmp_path)


@pytest.mark.soak
def test_random_lives_without_end(soak_seeds: Iterator[int], tmp_path: Path) -> None:
    for seed in soak_seeds:
        live(seed, tmp_path)
