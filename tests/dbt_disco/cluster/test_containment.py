"""What goes wrong in one virtual machine changes nothing in others' results, nor takes more than its share of time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from dbt_disco.cluster.configuration import MachineConfiguration, Restart
from dbt_disco.cluster.member import MemberState
from dbt_disco.disks.drive import SharingMode
from tests.dbt_disco.cluster.clusters import running, share_equal_pages, wait_for_state, wait_until
from tests.dbt_disco.cluster.kernels import (
    ALL,
    assert_right,
    expected_report,
    kernel_member,
    lives,
    lives_in,
    output,
)
from tests.dbt_disco.commands.command import command
from tests.dbt_disco.demo.kernel_boot import VOLUME

SLACK = 300_000_000
"""Nanoseconds of processor time by which one may be ahead."""
GUESTS = 8
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(VOLUME.image())
    return path


@pytest.mark.parametrize("kind", ["panic", "memory", "registers", "noise", "queue", "spin"])
def test_who_crashes_takes_no_more_than_a_share(kind: str, disk: Path) -> None:
    """On one processor; until the innocent are done it has had as much time as they, or less; then it is killed."""
    members = [
        kernel_member("crashes", f"task=crash kind={kind}", disk, restart=Restart.ON_FAILURE),
        *(kernel_member(f"innocent-{number}", ALL, disk) for number in range(2)),
    ]
    with running(members, MachineConfiguration(1, 1, 96 << 20)) as cluster:
        crashing, *innocent = cluster.members.values()
        for each in innocent:
            wait_for_state(each, MemberState.STOPPED, MemberState.FAILED)
            if each is innocent[0]:
                had = crashing.processor_time()
        assert had < max(each.processor_time() for each in innocent) + SLACK
        for each in innocent:
            assert_right(each)
        if kind not in ("spin", "noise"):
            wait_until(lambda: crashing.restarts >= 1, "it starts again")
            assert "panic: " in output(crashing)
        cluster.do(crashing.kill, "the end").result()
        wait_for_state(crashing, MemberState.STOPPED)
        assert cluster.do(cluster.audit).result() == []


def test_a_life_that_ends_within_a_line_is_told_from_the_next() -> None:
    assert lives_in("kernel: a\nread: 1\nwrite: seed=vmkernel: a\nread: 1\nstatistics: 2\nwrite: 3\n") == [
        ["read: 1", "write: seed=vm"],
        ["read: 1", "write: 3"],
    ]


def live_under_load(disk: Path, seed: int, seconds: float) -> None:
    """Virtual machines that do the same work again and again, and are paused, killed and started at random."""
    dice = random.Random(seed)
    members = [
        kernel_member(f"vm{number}", ALL, disk, home_node=number % 2, restart=Restart.ALWAYS)
        for number in range(GUESTS)
    ]
    with running(members, MachineConfiguration(2, 1, 64 << 20)) as cluster:
        everybody = list(cluster.members.values())

        paused: set[str] = set()
        done = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            victim = dice.choice(everybody)
            match dice.choice(["pause", "resume", "resume", "kill", "start", "start", "share", "audit"]):
                case "pause" if len(paused) < GUESTS // 2:
                    cluster.do(victim.pause).result()
                    paused.add(victim.name)
                case "resume":
                    cluster.do(victim.resume).result()
                    paused.discard(victim.name)
                case "kill":
                    cluster.do(victim.kill, "at random").result()
                    paused.discard(victim.name)
                case "start":
                    cluster.do(cluster.start_member, victim).result()
                case "share":
                    cluster.do(share_equal_pages, cluster).result()
                case "audit":
                    assert cluster.do(cluster.audit).result() == []
            time.sleep(dice.random() * 0.5)
        for each in everybody:
            cluster.do(each.kill, "the end").result()
            wait_for_state(each, MemberState.STOPPED, MemberState.FAILED)
            expected = list(expected_report(each))
            for report in lives(each):
                whole = report[: len(expected)] if len(report) >= len(expected) else report[:-1]
                assert (
                    whole == expected[: len(whole)]
                )  # the last line of one that was killed may not be whole
                done += whole == expected
        assert done >= GUESTS
        assert cluster.do(cluster.audit).result() == []


def test_eight_under_load_for_a_minute(disk: Path, first_seed: int) -> None:
    live_under_load(disk, first_seed, 60)


@pytest.mark.soak
def test_eight_under_load_for_ten_minutes(disk: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    live_under_load(disk, seed, 600)


def test_a_disk_that_one_writes_is_refused_to_others(disk: Path) -> None:
    """To another of the cluster, which is told who has it, and to another process; until its holder ends."""
    members = [
        kernel_member("holds", "task=crash kind=spin", disk, mode=SharingMode.EXCLUSIVE),
        kernel_member("wants", ALL, disk, mode=SharingMode.EXCLUSIVE),
    ]
    with running(members) as cluster:
        holds, wants = cluster.members.values()
        wait_for_state(wants, MemberState.FAILED)
        assert wants.reason == f"{disk}: in use by virtual machine holds"
        kernel = wants.configuration.virtual_machine.kernel
        words = ("--kernel", kernel, "--drive", f"file={disk}", "--append", "task=checksum")
        refused = command("boot", *words)
        assert refused.status != 0 and f"{disk}: in use by process " in refused.error_line()
        cluster.do(holds.kill, "for the test").result()
        wait_for_state(holds, MemberState.STOPPED)
        cluster.do(cluster.start_member, wants).result()
        assert_right(wants)
