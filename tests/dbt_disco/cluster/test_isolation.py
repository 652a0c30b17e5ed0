"""Whatever becomes of a machine page, no virtual machine finds in it what another has left (`task=search`)."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration, Restart
from dbt_disco.cluster.member import MemberState
from dbt_disco.disks.drive import SharingMode
from tests.dbt_disco.cluster.clusters import running, share_equal_pages, wait_for_state, wait_until
from tests.dbt_disco.cluster.kernels import kernel_member, lives, output
from tests.dbt_disco.demo.kernel_boot import VOLUME

SECRET = "seed=secret"
"""The same for all: each of them leaves what the others look for."""
MEMORY = 8 << 20
LIVES = 3
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(VOLUME.image())
    return path


@contextmanager
def stirred(cluster: Cluster) -> Iterator[None]:
    """Meanwhile equal pages are made one, again and again."""
    ends = threading.Event()

    def stir() -> None:
        while not ends.wait(0.05):
            cluster.do(share_equal_pages, cluster).result()

    thread = threading.Thread(target=stir)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def test_nobody_finds_what_others_leave_in_any_of_their_lives(disk: Path, first_seed: int) -> None:
    """They search, leave a secret everywhere, end and start again, on a machine that is too small for all of them,
    while pages move between nodes and equal ones become one; some are killed in the middle."""
    dice = random.Random(first_seed)
    members = [
        kernel_member(
            f"vm{number}",
            f"task=search,plant {SECRET} spread=yes give={'yes' if number == 1 else 'no'}",
            disk,
            home_node=number % 2,
            memory=MEMORY,
            restart=Restart.ALWAYS,
        )
        for number in range(3)
    ]
    with running(members, MachineConfiguration(2, 1, 15 << 20)) as cluster, stirred(cluster):
        everybody = list(cluster.members.values())
        for _ in range(LIVES):
            victim = dice.choice(everybody)
            seen = len(lives(victim))
            wait_until(lambda victim=victim, seen=seen: len(lives(victim)) > seen, "another life")  # type: ignore[misc]
            cluster.do(victim.kill, "at random").result()
            wait_for_state(victim, MemberState.STOPPED, MemberState.FAILED)
            assert cluster.do(cluster.audit).result() == []
            cluster.do(cluster.start_member, victim).result()
        for each in everybody:
            cluster.do(each.kill, "the end").result()
            wait_for_state(each, MemberState.STOPPED, MemberState.FAILED)
        assert cluster.do(cluster.audit).result() == []
        searched = 0
        for each in everybody:
            assert "error" not in output(each)
            searched += output(each).count("search: bytes=")
        assert searched > LIVES


def test_what_is_left_on_a_disk_of_ones_own_is_found(disk: Path) -> None:
    """So the search finds what is there; and nothing of it is in the memory that the next one gets."""
    members = [
        kernel_member("one", f"task=plant {SECRET}", disk, mode=SharingMode.EXCLUSIVE, memory=MEMORY),
        kernel_member("other", f"task=search {SECRET}", disk, memory=MEMORY),
    ]
    with running(members[:1], MachineConfiguration(1, 1, 12 << 20)) as cluster:
        wait_for_state(cluster.members["one"], MemberState.STOPPED)
    with running(members[1:], MachineConfiguration(1, 1, 12 << 20)) as cluster:
        wait_for_state(cluster.members["other"], MemberState.STOPPED)
        found = VOLUME.scratch_pages * 4096 // 16
        assert f"the secret is 0 times in memory and {found} times on the disk" in output(
            cluster.members["other"]
        )
