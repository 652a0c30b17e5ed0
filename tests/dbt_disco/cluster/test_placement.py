"""Small clusters on two nodes: where pages are after a while, by what their virtual machines do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.benchmark.cluster.placement import NEVER_MOVES, run_on_wrong_nodes
from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration, MemberConfiguration
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.cluster.statistics import cluster_statistics
from dbt_disco.cluster.top.plain_text import plain_text
from dbt_disco.cluster.top.rates import rates
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.placement_policy import DEFAULT_POLICY, NO_POLICY
from tests.dbt_disco.cluster.clusters import member, running, wait_for_state, wait_until
from tests.dbt_disco.virtual_machine.bare_programs import raw_image

PAGE = MACHINE_PAGE_SIZE
TWO_NODES = MachineConfiguration(2, 1, 32 << 20)
KERNEL_AT = 0x10_0000
"""Where a raw image is in memory; its pages are shared with whoever boots it, too."""
DATA_PAGE = 4
"""Of the image: it is read, and not executed."""
READER = (
    "lui r8, 0x8010",
    "ori r8, r8, 0x4000",
    "here:",
    "lw r10, 0(r8)",
    "lui r11, 0x8020",
    "sw r10, 0(r11)",
    "beq r0, r0, here",
    "nop",
)
"""Reads a page that others have, too, and stores to one of its own, for ever, with interrupts off."""


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    kernel = tmp_path / "reader"
    kernel.write_bytes(raw_image(*READER).ljust(DATA_PAGE * PAGE, b"\0") + bytes(range(256)) * 16)
    return kernel


def memory_of(cluster_member: Member) -> PhysicalMemory:
    task = cluster_member.task
    assert task is not None
    return task.virtual_machine.memory


def node_at(cluster_member: Member, address: int) -> int:
    memory = memory_of(cluster_member)
    return memory.machine.node_of(memory.machine_page(address // PAGE))


def audited(cluster: Cluster) -> list[str]:
    return cluster.do(cluster.audit).result()


def test_memory_on_the_wrong_node_becomes_local() -> None:
    assert all((part or 0) <= 0.2 for part in run_on_wrong_nodes(NEVER_MOVES, 1).local_fractions)
    found = run_on_wrong_nodes(DEFAULT_POLICY, 5)
    last = found.local_fractions[-1]
    assert last is not None and last >= 0.8
    assert found.statistics["migrated"] >= 256, "each has a megabyte"
    assert found.instructions > 0


def wrong(name: str, kernel: Path, node: int) -> MemberConfiguration:
    return replace(member(name, kernel, home_node=node), memory_node=1 - node)


def test_a_page_that_all_read_is_replicated(reader: Path) -> None:
    """The image is in the cache, where its first reader had its memory."""
    members = [member("one", reader, home_node=0), member("two", reader, home_node=1)]
    with running(members, TWO_NODES) as cluster:
        one, two = cluster.members.values()
        data = KERNEL_AT + DATA_PAGE * PAGE

        def is_replicated() -> bool:
            alive = one.task is not None and two.task is not None
            return alive and (node_at(one, data), node_at(two, data)) == (0, 1)

        wait_until(is_replicated, "a copy for each node")
        assert cluster.placement is not None and cluster.placement.moves.replicated
        assert audited(cluster) == []
        for each in (one, two):
            assert memory_of(each).read(data, 256) == bytes(range(256))
        # A store gives the virtual machine a page of its own, and the other one's copy stays as it is.
        task = one.task
        assert task is not None
        with cluster.scheduler.hold(task):
            memory_of(one).write(data, b"mine")
        assert memory_of(two).read(data, 4) == bytes(range(4))
        assert cluster.placement.statistics()["collapsed"] >= 1
        assert audited(cluster) == []
        for each in (one, two):
            each.has_ended.clear()
            cluster.do(each.kill, "enough").result()
            wait_for_state(each, MemberState.STOPPED)
        cluster.do(cluster.placement.moves.sweep).result()
        assert list(cluster.placement.held()) == []


def test_what_a_virtual_machine_of_its_own_uses_migrates(reader: Path) -> None:
    with running([wrong("one", reader, 0)], TWO_NODES) as cluster:
        (one,) = cluster.members.values()
        own = 0x20_0000

        def is_local() -> bool:
            return one.task is not None and bool(memory_of(one).pmap[own // PAGE]) and node_at(one, own) == 0

        wait_until(is_local, "its page on its node")
        assert audited(cluster) == []
        statistics = show(cluster, lambda found: found["local_fraction"] is not None)
        assert set(statistics) >= {
            *("local_fraction", "sampled", "migrated", "replicated", "collapsed", "seconds"),
        }
        assert statistics["migrated"] >= 1 and statistics["moved_to_nodes"][0] >= 1
        assert 0 < statistics["seconds"] < 60 and statistics["sampled"] > 0


def show(cluster: Cluster, condition: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """The statistics of placement, when they are as they should be."""
    wait_until(lambda: condition(cluster_statistics(cluster)["placement"]), "statistics of placement")
    found = cluster_statistics(cluster)
    assert found["vms"][0]["local_fraction"] is not None
    table = plain_text(rates(found, found))
    assert "local" in table and "LOCAL%" in table
    return found["placement"]  # type: ignore[no-any-return]


def test_nothing_moves_where_nothing_is_to(reader: Path) -> None:
    still = replace(TWO_NODES, policy=NO_POLICY)
    for machine in (still, MachineConfiguration(1, 2, 64 << 20)):
        with running([member("one", reader), member("two", reader)], machine) as cluster:
            assert cluster.placement is None
            for each in cluster.members.values():
                wait_until(lambda each=each: each.processor_time() > 0, "some work")  # type: ignore[misc]
            found = cluster_statistics(cluster)
            assert found["placement"] is None
            assert all(vm["local_fraction"] is None for vm in found["vms"])
            plain_text(rates(found, found))


def test_memory_comes_from_the_home_node_unless_told_otherwise(reader: Path) -> None:
    still = replace(TWO_NODES, policy=NO_POLICY)
    members = [member("right", reader, home_node=1), wrong("wrong", reader, 0)]
    with running(members, still) as cluster:
        own = 0x20_0000
        for each, node in zip(cluster.members.values(), (1, 1), strict=True):
            wait_until(lambda each=each: has(each, own), "its page")  # type: ignore[misc]
            assert node_at(each, own) == node
            assert memory_of(each).user_node == each.configuration.home_node


def has(cluster_member: Member, address: int) -> bool:
    return cluster_member.task is not None and bool(memory_of(cluster_member).pmap[address // PAGE])
