"""What a cluster's memory is used for, and members that are not started with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.memory_report import COPIES, DISK_CACHE, REST, memory_report
from runtime.addresses import MACHINE_PAGE_SIZE
from tests.dbt_disco.cluster.clusters import member, running, wait_for_state
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, raw_image

PAGE = MACHINE_PAGE_SIZE
MACHINE = MachineConfiguration(1, 2, 32 << 20, content_sharing=False)
KERNEL_AT = 0x10_0000


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """An image of two whole pages, which are mapped."""
    path = tmp_path / "kernel"
    path.write_bytes(raw_image(*ECHO).ljust(2 * PAGE, b"\0"))
    return path


def test_each_page_counts_once_and_for_one_use(kernel: Path) -> None:
    with running([member(f"vm{number}", kernel) for number in range(2)], MACHINE) as cluster:
        for each in cluster.members.values():
            wait_for_state(each, MemberState.IDLE)
        memory = cluster.machine.memory
        parts = [("first", KERNEL_AT, KERNEL_AT + PAGE - 1), ("all", KERNEL_AT, KERNEL_AT + 2 * PAGE - 1)]
        report = cluster.do(memory_report, cluster, parts).result()
        assert report["seen"]["first"] == report["seen"]["all"] == 2 * PAGE
        assert report["held"]["first"] == report["held"]["all"] == PAGE
        assert report["seen"][DISK_CACHE] == report["held"][DISK_CACHE] == report["held"][COPIES] == 0
        assert report["seen"][REST] == report["held"][REST] > 0
        assert sum(report["held"].values()) == memory.allocated * PAGE
        assert report["resident"] > 0
        report = cluster.do(memory_report, cluster, []).result()
        assert (report["seen"][DISK_CACHE], report["held"][DISK_CACHE]) == (4 * PAGE, 2 * PAGE)
        assert sum(report["held"].values()) == memory.allocated * PAGE


def test_what_is_not_started_with_the_cluster_can_be_started(kernel: Path) -> None:
    members = [member("now", kernel), replace(member("later", kernel), autostart=False)]
    with running(members, MACHINE) as cluster:
        wait_for_state(cluster.members["now"], MemberState.IDLE)
        later = cluster.members["later"]
        assert later.state is MemberState.DEFINED and not cluster.has_ended
        cluster.do(cluster.start_member, later).result()
        wait_for_state(later, MemberState.IDLE)
