"""Lives of virtual machines in a cluster: beside each other, paused, killed, failing, started again."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.cluster.configuration import MachineConfiguration, Restart, Shutdown
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.processor import Processor
from dbt_disco.cluster.shutdown import shut_down
from dbt_disco.cluster.task import Task
from dbt_disco.devices.uart import Uart
from runtime.system.preemption_timer import PreemptionTimer
from tests.dbt_disco.cluster.clusters import (
    member,
    running,
    wait_for_output,
    wait_for_state,
    wait_until,
)
from tests.dbt_disco.virtual_machine.bare_programs import (
    ECHO,
    ENDLESS,
    HELLO,
    POLLING_ECHO,
    PREBUILT,
    monitor_call,
    raw_image,
)

SYSTEM = PREBUILT / "mipsel" / "system"
PROGRAMS = (
    "preemption",
    "wait",
    "wait_with_interrupts_disabled",
    "timer_interrupt",
    "processes",
    "uart",
    "tlb_refill",
    "exceptions",
)
"""Programs that judge themselves, some by the timer."""
COUNTER = (
    "addiu r9, r0, 0",
    "lui r8, 0xa000",
    "here:",
    "addiu r9, r9, 1",
    "sw r9, 0(r8)",
    "beq r0, r0, here",
    "nop",
)
"""Counts in the first word of memory, with interrupts off."""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    return image(tmp_path, "echo", *ECHO)


def image(directory: Path, name: str, *lines: str) -> Path:
    path = directory / name
    path.write_bytes(raw_image(*lines))
    return path


def counted(cluster_member: object) -> int:
    task = cluster_member.task  # type: ignore[attr-defined]
    return int.from_bytes(task.virtual_machine.memory.read(0, 4), "little")


def test_many_programs_on_two_processors_find_nothing_wrong() -> None:
    members = [
        member(f"{name}-{copy}", SYSTEM / name, home_node=copy, memory=16 << 20)
        for name in PROGRAMS
        for copy in range(2)
    ]
    with running(members, MachineConfiguration(2, 1, 128 << 20)) as cluster:
        for each in cluster.members.values():
            wait_for_state(each, MemberState.STOPPED, MemberState.FAILED)
            assert each.state is MemberState.STOPPED, each.reason
            assert each.console.read(0)[0].endswith(b" passed, 0 failed\n"), each.name
        assert cluster.has_ended
        assert cluster.do(cluster.audit).result() == []


def test_processors_are_shared_fairly(tmp_path: Path) -> None:
    kernel = image(tmp_path, "counter", *COUNTER)
    machine = MachineConfiguration(1, 1, 64 << 20)
    with running([member(f"vm{number}", kernel) for number in range(4)], machine) as cluster:
        members = cluster.members.values()
        wait_until(lambda: all(each.processor_time() > 300_000_000 for each in members), "time for all")
        times = [each.processor_time() for each in members]
        assert max(times) - min(times) < 200_000_000
        assert all(counted(each) for each in members)


def test_an_idle_guest_is_served_beside_one_that_spins_with_interrupts_off(
    tmp_path: Path, echo: Path
) -> None:
    spinning = image(tmp_path, "spinning", *ENDLESS["a branch to itself"])
    machine = MachineConfiguration(1, 1, 64 << 20)
    with running([member("spins", spinning), member("echo", echo)], machine) as cluster:
        answering = cluster.members["echo"]
        wait_for_state(answering, MemberState.IDLE)
        for character in (b"a", b"b", b"c"):
            before = answering.console.read(0)[1]
            assert answering.console.type(character) == 1
            wait_for_output(answering, character, before)
        cluster.do(cluster.members["spins"].kill, "for the test").result()
        wait_for_state(cluster.members["spins"], MemberState.STOPPED)
        answering.console.type(b"q")
        wait_for_state(answering, MemberState.STOPPED)
        assert answering.reason == "the guest reset the machine"


@pytest.mark.parametrize("what", ENDLESS)
def test_whatever_a_guest_does_for_ever_it_can_be_paused_and_killed(what: str, tmp_path: Path) -> None:
    with running([member("vm", image(tmp_path, "endless", *ENDLESS[what]))]) as cluster:
        vm = cluster.members["vm"]
        wait_for_state(vm, MemberState.RUNNING, MemberState.IDLE)
        wait_until(lambda: vm.processor_time() > 0, "processor time")
        assert cluster.do(vm.pause).result()
        before = vm.processor_time()
        time.sleep(0.05)
        assert vm.state is MemberState.PAUSED and vm.processor_time() == before
        assert cluster.do(vm.resume).result() and not cluster.do(vm.resume).result()
        cluster.do(vm.kill, "for the test").result()
        wait_for_state(vm, MemberState.STOPPED)
        assert vm.reason == "for the test"


def test_time_stands_still_for_a_paused_guest(tmp_path: Path) -> None:
    kernel = image(tmp_path, "polling", *POLLING_ECHO)
    with running([member("vm", kernel)]) as cluster:
        vm = cluster.members["vm"]
        wait_until(lambda: vm.processor_time() > 0, "processor time")
        assert cluster.do(vm.pause).result() and vm.task is not None
        surroundings = vm.task.virtual_machine.surroundings
        before = surroundings.now()
        vm.console.type(b"q")
        time.sleep(0.3)
        assert not vm.console.read(0)[0]
        cluster.do(vm.resume).result()
        assert surroundings.now() - before < 250_000_000
        wait_for_state(vm, MemberState.STOPPED)
        assert vm.console.read(0)[0] == b"q"


def test_a_paused_guest_can_be_killed(echo: Path) -> None:
    with running([member("vm", echo)]) as cluster:
        vm = cluster.members["vm"]
        wait_for_state(vm, MemberState.IDLE)
        assert cluster.do(vm.pause).result()
        cluster.do(vm.kill, "for the test").result()
        wait_for_state(vm, MemberState.STOPPED)


@pytest.mark.parametrize(
    ("policy", "status", "again"),
    [
        (Restart.NEVER, 3, False),
        (Restart.ON_FAILURE, 3, True),
        (Restart.ON_FAILURE, 0, False),
        (Restart.ALWAYS, 0, True),
    ],
)
def test_restart_policies(policy: Restart, status: int, again: bool, tmp_path: Path) -> None:
    kernel = image(tmp_path, "ends", f"addiu r4, r0, {status}", *monitor_call(3))
    with running([member("vm", kernel, restart=policy)]) as cluster:
        vm = cluster.members["vm"]
        if again:
            wait_until(lambda: vm.restarts == 2, "a second restart")
            assert "starts again in 2 s" in vm.reason or vm.state is not MemberState.RESTARTING
            cluster.do(vm.kill, "for the test").result()
        wait_for_state(vm, MemberState.STOPPED)
        assert vm.restarts == (2 if again else 0) and vm.processor_time() > 0


def test_a_guest_that_fails_changes_nothing_in_the_others(tmp_path: Path, echo: Path) -> None:
    wild = image(tmp_path, "wild", "lui r8, 0xbf10", "jr r8", "nop")
    missing = tmp_path / "missing"
    members = [member("echo", echo), member("wild", wild), member("missing", missing), member("hello", HELLO)]
    with running(members) as cluster:
        for name in ("wild", "missing"):
            wait_for_state(cluster.members[name], MemberState.FAILED)
        assert "what is no memory, at physical 0x1f100000" in cluster.members["wild"].reason
        assert "missing" in cluster.members["missing"].reason
        wait_for_state(cluster.members["hello"], MemberState.STOPPED)
        wait_for_state(cluster.members["echo"], MemberState.IDLE)
        assert cluster.do(cluster.audit).result() == []


def test_a_bug_in_a_device_stops_only_the_guest_that_meets_it(
    tmp_path: Path, echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Uart.write

    def write_with_bug(self: Uart, offset: int, size: int, value: int) -> None:
        if offset == 0x3F:
            raise ZeroDivisionError("a bug")
        write(self, offset, size, value)

    monkeypatch.setattr(Uart, "write", write_with_bug)
    victim = image(tmp_path, "victim", "lui r8, 0xbf00", "sb r0, 0x93f(r8)", *ENDLESS["a branch to itself"])
    with running([member("echo", echo), member("victim", victim)]) as cluster:
        wait_for_state(cluster.members["victim"], MemberState.FAILED)
        assert cluster.members["victim"].reason == "an error in the monitor: ZeroDivisionError: a bug"
        cluster.members["echo"].console.type(b"x")
        wait_for_output(cluster.members["echo"], b"x")


def test_who_exhausts_the_machines_memory_is_stopped_with_a_reason(tmp_path: Path, echo: Path) -> None:
    eater = image(
        tmp_path,
        "eater",
        "lui r8, 0xa020",
        "here:",
        "sw r8, 0(r8)",
        "addiu r8, r8, 0x1000",
        "beq r0, r0, here",
        "nop",
    )
    machine = MachineConfiguration(1, 2, 8 << 20)
    members = [member("echo", echo), member("eater", eater, memory=32 << 20)]
    with running(members, machine) as cluster:
        wait_for_state(cluster.members["eater"], MemberState.FAILED)
        assert "all in use" in cluster.members["eater"].reason
        cluster.members["echo"].console.type(b"x")
        wait_for_output(cluster.members["echo"], b"x")
        assert cluster.do(cluster.audit).result() == []


def test_guests_stand_still_while_they_are_held(tmp_path: Path, echo: Path) -> None:
    kernel = image(tmp_path, "counter", *COUNTER)
    members = [member("one", kernel), member("other", kernel), member("echo", echo)]
    with running(members) as cluster:
        wait_for_state(cluster.members["echo"], MemberState.IDLE)
        wait_until(
            lambda: all(cluster.members[name].processor_time() for name in ("one", "other")), "both run"
        )
        tasks = [each.task for each in cluster.members.values() if each.task is not None]
        one = cluster.members["one"]
        for _ in range(20):
            with cluster.scheduler.hold(*tasks):
                before = counted(one)
                time.sleep(0.002)
                assert counted(one) == before
            wait_until(lambda before=before: counted(one) != before, "going on")  # type: ignore[misc]


def test_two_guests_that_hold_each_other_do_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printing = image(tmp_path, "printing", *ENDLESS["printing"])
    rounds: dict[str, int] = {"one": 0, "other": 0}
    with running([member(name, printing) for name in rounds]) as cluster:
        scheduler = cluster.scheduler
        by_thread: set[int] = set()
        for name, opposite in (("one", "other"), ("other", "one")):
            console = cluster.members[name].console

            def write(data: bytes, name: str = name, opposite: str = opposite) -> None:
                task = cluster.members[opposite].task
                if task is not None and rounds[name] < 300:
                    with scheduler.hold(task):
                        by_thread.add(threading.get_ident())
                        assert len(by_thread) == 1
                        by_thread.clear()
                    rounds[name] += 1

            monkeypatch.setattr(console, "write", write)
        wait_until(lambda: min(rounds.values()) == 300, "300 rounds of both")


def test_a_console_outlives_its_guest_and_keeps_the_newest_output(tmp_path: Path) -> None:
    with running([member("vm", HELLO, restart=Restart.ALWAYS)]) as cluster:
        vm = cluster.members["vm"]
        wait_until(lambda: vm.console.read(0)[0].count(b"Hello from bare metal.\n") == 2, "two greetings")
        times = [when for when, _ in vm.console.lines()]
        assert len(times) == 2 and times[0] is not None and times[1] is not None and times[0] < times[1]
        cluster.do(vm.kill, "for the test").result()


def test_only_virtual_machines_under_the_hosts_clock(echo: Path) -> None:
    configuration = member("vm", echo)
    wrong = replace(
        configuration, virtual_machine=replace(configuration.virtual_machine, clock="instructions")
    )
    with pytest.raises(ValueError, match="host's clock"), running([wrong]):
        pass


def test_a_processor_that_a_deadline_has_woken_does_not_count_as_asleep(tmp_path: Path, echo: Path) -> None:
    waits_once = (
        "ori r9, r0, 0x8000",
        "mtc0.status r9",
        "mfc0.count r8",
        "lui r10, 0x0010",
        "addu r8, r8, r10",
        "mtc0.compare r8",
        "wait",
        *ENDLESS["a branch to itself"],
    )
    kernel = image(tmp_path, "waits", *waits_once)
    machine = MachineConfiguration(1, 1, 64 << 20)
    with running([member("echo", echo), member("vm", kernel)], machine) as cluster:
        wait_until(lambda: cluster.members["vm"].processor_time() > 50_000_000, "spinning")
        cluster.members["echo"].console.type(b"x")
        wait_for_output(cluster.members["echo"], b"x")


def test_a_guest_that_does_not_obey_when_it_is_asked_to_end_is_killed(
    tmp_path: Path, echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbt_disco.cluster.shutdown._PATIENCE", 0.2)
    spinning = image(tmp_path, "spinning", *ENDLESS["a branch to itself"])
    members = [
        member("echo", echo, shutdown=Shutdown.SYSRQ, restart=Restart.ALWAYS),
        member("spins", spinning, shutdown=Shutdown.SYSRQ),
        member("hello", HELLO),
    ]
    with running(members) as cluster:
        asked = cluster.members["echo"]
        wait_for_state(asked, MemberState.IDLE)
        wait_for_state(cluster.members["hello"], MemberState.STOPPED)
        shut_down(cluster, list(cluster.members.values()), "for the test")
        assert asked.console.read(0)[0] == b"\0s"  # the break, as the data register has it, and the key
        assert [each.reason for each in cluster.members.values()] == [
            "for the test",
            "for the test",
            "the guest reset the machine",
        ]


def test_a_slice_that_is_over_before_it_begins_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host may run others between the setting of the timer and the run: it expires where it finds nobody."""
    run = Processor._run
    late: list[int] = []

    def run_late(self: Processor, task: Task, timer: PreemptionTimer) -> None:
        if len(late) < 5:
            late.append(self.number)
            time.sleep(0.05)
        run(self, task, timer)

    monkeypatch.setattr(Processor, "_run", run_late)
    spinning = image(tmp_path, "spinning", *ENDLESS["a branch to itself"])
    machine = MachineConfiguration(1, 1, 64 << 20)
    with running(
        [member("one", spinning), member("other", spinning), member("hello", HELLO)], machine
    ) as cluster:
        wait_for_state(cluster.members["hello"], MemberState.STOPPED)
