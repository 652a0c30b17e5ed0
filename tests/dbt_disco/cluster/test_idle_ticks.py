"""Idle guests whose ticks run in processors' native loops: none is lost, whatever is done to them meanwhile."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.cluster.task import Task, TaskState
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.cluster.clusters import member, running, wait_for_state, wait_until
from tests.dbt_disco.virtual_machine.bare_programs import ENDLESS, raw_image
from translator.state import Stop

PERIOD = 80_000
"""Ticks of Count between two matches of Compare: half a millisecond."""
TICKING = (
    "lui r8, 0xa000",
    "ori r9, r0, 0x8000",  # the timer's interrupt, unmasked, but not taken: it ends `wait`
    "mtc0.status r9",
    "lui r11, 0x0001",
    "ori r11, r11, 0x3880",  # PERIOD
    "mfc0.count r10",
    "sw r10, 8(r8)",
    "next:",
    "addu r10, r10, r11",
    "mtc0.compare r10",
    "mfc0.count r13",
    "subu r13, r13, r10",
    "bltz r13, sleep",  # Compare has not been passed before it was set
    "nop",
    "addiu r14, r14, 1",
    "sw r14, 12(r8)",
    "beq r0, r0, next",
    "addiu r12, r12, 1",
    "sleep:",
    "wait",
    "mfc0.count r13",
    "subu r13, r13, r10",
    "bltz r13, early",
    "addiu r12, r12, 1",
    "beq r0, r0, next",
    "sw r12, 0(r8)",
    "early:",
    "addiu r15, r15, 1",
    "sw r15, 4(r8)",
    "beq r0, r0, sleep",
    "addiu r12, r12, -1",
)
"""Counts periods in the first word of memory, wake-ups before Compare in the second, and in the fourth periods that had
passed before it got there; the third has Count at the start."""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "ticking"
    path.write_bytes(raw_image(*TICKING))
    return path


def task_of(vm: Member) -> Task:
    assert vm.task is not None
    return vm.task


def word(vm: Member, place: int) -> int:
    return int.from_bytes(task_of(vm).virtual_machine.memory.read(4 * place, 4), "little")


def ticks(vm: Member) -> int:
    return task_of(vm).idle_vcpu.ticks


def check_periods(cluster: Cluster, vm: Member) -> None:
    """It has seen as many periods as there have been, give or take the one that is under way."""
    task = task_of(vm)
    with cluster.scheduler.hold(task):
        passed = (task.vcpu.count() - word(vm, 2) & 0xFFFF_FFFF) // PERIOD
        seen, early = word(vm, 0), word(vm, 1)
        assert early == 0
        assert task.state is not TaskState.RUNNING
    # What a host that is busy elsewhere has not let it do yet it makes up for.
    wait_until(lambda: word(vm, 0) >= passed - 1, f"{passed} periods, of which {seen} have been seen")
    assert seen <= passed


def test_ticks_run_without_the_scheduler(kernel: Path) -> None:
    with running([member(f"vm-{number}", kernel, home_node=0) for number in range(3)]) as cluster:
        members = list(cluster.members.values())
        wait_until(lambda: all(vm.task is not None and ticks(vm) > 100 for vm in members), "native ticks")
        before = [(ticks(vm), task_of(vm).slices, task_of(vm).vcpu.stops.copy()) for vm in members]
        wait_until(
            lambda: all(ticks(vm) > old + 300 for vm, (old, _, _) in zip(members, before, strict=True)),
            "300 more",
        )
        for vm, (_, slices, stops) in zip(members, before, strict=True):
            assert task_of(vm).slices - slices < 100
            assert sum(task_of(vm).vcpu.stops.values()) - sum(stops.values()) < 100
            check_periods(cluster, vm)


def test_what_ticks_find_hot_is_noted_and_translated(tmp_path: Path) -> None:
    loop = ("ori r16, r0, 3000", "spin:", "addiu r16, r16, -1", "bne r16, r0, spin", "nop")
    start = TICKING.index("next:") + 1
    kernel = tmp_path / "busy"
    kernel.write_bytes(raw_image(*TICKING[:start], *loop, *TICKING[start:]))
    with running([member("vm", kernel, home_node=0)]) as cluster:
        vm = cluster.members["vm"]
        wait_until(lambda: vm.task is not None, "a life")
        task = task_of(vm)
        assert isinstance(task.vcpu, SystemVcpu)
        counts = task.vcpu.translations.counts
        wait_until(lambda: counts.installed > 0, "a region of the loop")
        native = ticks(vm)
        assert native > 0
        wait_until(lambda: ticks(vm) > native + 300, "native ticks go on")
        assert task.vcpu.stops[Stop.HOT] <= 1  # of three reports
        check_periods(cluster, vm)


def test_processor_time_is_that_of_the_processors(kernel: Path) -> None:
    with running([member(f"vm-{number}", kernel) for number in range(3)]) as cluster:
        members = list(cluster.members.values())
        wait_until(lambda: all(vm.task is not None and ticks(vm) > 500 for vm in members), "native ticks")
        tasks = [task_of(vm) for vm in members]
        with cluster.scheduler.hold(*tasks):
            spent = [task.idle_vcpu.time for task in tasks]
            assert all(spent) and sum(spent) == sum(cpu.loop.time for cpu in cluster.scheduler.processors)
            times = [vm.processor_time() for vm in members]
            assert times == [task.processor_time for task in tasks]
            assert sum(times) <= sum(cpu.busy_time() for cpu in cluster.scheduler.processors)


def test_guests_that_tick_stand_still_while_they_are_held(kernel: Path) -> None:
    with running([member(f"vm-{number}", kernel) for number in range(4)]) as cluster:
        members = list(cluster.members.values())
        wait_until(lambda: all(vm.task is not None and ticks(vm) > 10 for vm in members), "native ticks")
        tasks = [task_of(vm) for vm in members]
        for _ in range(200):
            with cluster.scheduler.hold(*tasks):
                before = [(word(vm, 0), ticks(vm)) for vm in members]
                assert all(task.state is not TaskState.RUNNING for task in tasks)
                time.sleep(0.0007)
                assert [(word(vm, 0), ticks(vm)) for vm in members] == before
        for vm in members:
            check_periods(cluster, vm)


def test_a_guest_that_ticks_beside_one_that_spins(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "spins").write_bytes(raw_image(*ENDLESS["a branch to itself"]))
    machine = MachineConfiguration(1, 1, 64 << 20)
    with running([member("ticks", kernel), member("spins", tmp_path / "spins")], machine) as cluster:
        vm, spinning = cluster.members["ticks"], cluster.members["spins"]
        wait_until(lambda: spinning.processor_time() > 100_000_000 and word(vm, 0) > 100, "both run")
        check_periods(cluster, vm)
        cluster.do(spinning.kill, "for the test").result()
        before = ticks(vm)
        wait_until(lambda: ticks(vm) > before + 100, "native ticks again")
        check_periods(cluster, vm)


def disturb(cluster: Cluster, randomness: random.Random, members: list[Member]) -> None:
    vm = randomness.choice(members)
    match randomness.choice(["hold", "hold all", "attend", "pause", "request", "nothing"]):
        case "hold":
            with cluster.scheduler.hold(task_of(vm)):
                before = ticks(vm), word(vm, 0)
                assert (ticks(vm), word(vm, 0)) == before
        case "hold all":
            with cluster.scheduler.hold(*(task_of(each) for each in members)):
                assert all(task_of(each).state is not TaskState.RUNNING for each in members)
        case "attend":
            task_of(vm).vcpu.request_stop()
            cluster.scheduler.attend(task_of(vm))
        case "pause":
            assert cluster.do(vm.pause).result()
            assert vm.state is MemberState.PAUSED and task_of(vm).state is not TaskState.RUNNING
            cluster.do(vm.resume).result()
        case "request":
            task_of(vm).vcpu.ask_for_visit()
        case "nothing":
            time.sleep(randomness.random() / 1000)


def test_no_tick_is_lost_whatever_others_do(kernel: Path, first_seed: int) -> None:
    randomness = random.Random(first_seed)
    machine = MachineConfiguration(2, 1, 64 << 20)
    guests = [member(f"vm-{number}", kernel, home_node=number % 2) for number in range(5)]
    victim = member("victim", kernel)
    with running([*guests, victim], machine) as cluster:
        members = [cluster.members[each.name] for each in guests]
        wait_until(lambda: all(vm.task is not None and ticks(vm) > 10 for vm in members), "native ticks")
        for turn in range(2000):
            disturb(cluster, randomness, members)
            if turn % 200 == 199:
                dying = cluster.members["victim"]
                cluster.do(dying.kill, "at random").result()
                wait_for_state(dying, MemberState.STOPPED)
                cluster.do(cluster.start_member, dying).result()
        for vm in members:
            check_periods(cluster, vm)
            before = ticks(vm)
            wait_until(lambda vm=vm, before=before: ticks(vm) > before + 10, "still ticking")  # type: ignore[misc]
        assert cluster.do(cluster.audit).result() == []
