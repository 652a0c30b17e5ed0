"""Guests that drive their devices at random, beside guests that must not notice (guests/kernel/task_torment.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.demo.guest_kernel import KERNEL, KernelStatus
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from dbt_disco.virtual_machine.user_network_option import parse_network
from tests.dbt_disco.cluster.clusters import running, wait_for_state, wait_until
from tests.dbt_disco.cluster.kernels import ALL, assert_right, kernel_member, output
from tests.dbt_disco.demo.kernel_boot import VOLUME
from tests.missing import need_libslirp

DEVICES = ("net", "block", "entropy", "balloon", "uart", "clock", "nowhere", "monitor")
"""One hostile guest for each, and one for all of them."""
GUESTS = len(DEVICES) + 1
OPERATIONS = 100_000
"""Of all hostile guests together."""
SEEDS = 3
SLOW_OPERATIONS = 500_000
"""In each of two slow tests."""
MACHINE = MachineConfiguration(2, 1, 64 << 20)
TIME_PER_OPERATION = 500_000
"""Nanoseconds, far more than it takes: a guest that has used more has destroyed itself, and is not waited for."""
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "image"
    path.write_bytes(VOLUME.image())
    return path


def torment(disk: Path, seed: int, operations: int, reach: str) -> None:
    """Two innocent guests beside the hostile ones, of which each does its share of the operations."""
    need_libslirp()
    names = {name: name for name in DEVICES} | {"everything": ",".join(DEVICES)}
    members = [
        kernel_member(
            name,
            f"task=torment operations={operations // GUESTS} reach={reach} devices={devices} seed={name}-{seed}",
            disk,
            home_node=number % 2,
            memory=8 << 20,
            network=parse_network("user"),
            other_devices=True,
        )
        for number, (name, devices) in enumerate(names.items())
    ]
    innocent = [kernel_member(f"innocent-{node}", ALL, disk, home_node=node) for node in range(2)]
    with running([*members, *innocent], MACHINE) as cluster:
        for each in innocent:
            assert_right(cluster.members[each.name])
        for name in names:
            member = cluster.members[name]
            ended = has_survived if reach == "arena" else has_come_to_something
            ended(member, operations // GUESTS)
            cluster.do(member.kill, "it has had enough").result()
            wait_for_state(member, MemberState.STOPPED, MemberState.FAILED)
            assert member.reason
        assert cluster.do(cluster.audit).result() == []
        hurt = [name for name in names if "torment: operations=" not in output(cluster.members[name])]
        assert bool(hurt) is (reach == "all"), hurt
        assert cluster.machine.cache is not None
        cached = sum(file.pages for file in cluster.machine.cache.files())
        assert cluster.placement is not None
        cluster.do(cluster.placement.moves.sweep).result()  # copies that nobody uses any more
        assert cluster.machine.memory.allocated == cached
    assert disk.read_bytes() == VOLUME.image()


def has_survived(member: Member, operations: int) -> None:
    """It has given devices only memory that it does not need, so that nothing has happened to it."""
    wait_for_state(member, MemberState.STOPPED, MemberState.FAILED)
    assert member.reason == "the guest powered off by a monitor call", output(member)[-500:]
    report = re.search(r"torment: operations=(\d+) broken=(\d+)\n", output(member))
    assert report is not None and int(report[1]) == operations
    has_queues = member.name in ("net", "block", "entropy", "balloon", "everything")
    assert (int(report[2]) > operations // 200) is has_queues, "not hostile enough for devices to give up"


def has_come_to_something(member: Member, operations: int) -> None:
    """Its devices may have stored to anything in it: it has ended with a reason, or goes on doing nonsense."""
    enough = operations * TIME_PER_OPERATION + 1_000_000_000
    wait_until(
        lambda: (
            not member.state.is_alive or member.state is MemberState.IDLE or member.processor_time() > enough
        ),
        f"the end of {member.name}",
    )


@pytest.mark.parametrize("offset", range(SEEDS))
def test_hostile_guests_hurt_nobody(offset: int, first_seed: int, disk: Path) -> None:
    torment(disk, first_seed + offset, OPERATIONS // SEEDS, "arena")


@pytest.mark.parametrize("offset", range(SEEDS))
def test_hostile_guests_hurt_only_themselves(offset: int, first_seed: int, disk: Path) -> None:
    """Their devices store to their code as well."""
    torment(disk, first_seed + offset, OPERATIONS // SEEDS, "all")


@pytest.mark.slow
@pytest.mark.parametrize("offset", range(2))
def test_more_hostile_guests(offset: int, first_seed: int, disk: Path) -> None:
    torment(disk, first_seed + 1000 + offset, SLOW_OPERATIONS, "arena")


@pytest.mark.soak
@pytest.mark.parametrize("reach", ["arena", "all"])
def test_hostile_guests_without_end(reach: str, soak_seeds: Iterator[int], disk: Path) -> None:
    for seed in soak_seeds:
        torment(disk, seed, OPERATIONS, reach)


def test_a_hostile_driver_of_the_virtio_console(disk: Path, first_seed: int) -> None:
    """Which virtual machines of clusters do not have."""
    machine = Machine(32 << 20)
    words = f"task=torment devices=console operations={OPERATIONS // GUESTS} seed={first_seed}"
    configuration = Configuration(KERNEL, command_line=words, memory_size=8 << 20, drives=[Drive(disk)])
    with RunningVirtualMachine(configuration, virtio_console=ScriptedConsole(), machine=machine) as guest:
        assert guest.join(200).status == KernelStatus.DONE
        report = re.search(r"torment: operations=(\d+) broken=(\d+)\n", guest.console.text())
        assert report is not None and int(report[2]) > OPERATIONS // GUESTS // 200
        machine.audit([guest.virtual_machine])
    machine.close()
