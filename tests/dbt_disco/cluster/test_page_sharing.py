"""Equal pages of a cluster's virtual machines become one while these run, and nobody but the memory notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.cluster import page_sharing
from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.page_sharing import PageSharing
from runtime.addresses import MACHINE_PAGE_SIZE
from tests.dbt_disco.cluster.clusters import member, running, wait_for_output, wait_for_state, wait_until
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, raw_image

PAGE = MACHINE_PAGE_SIZE
FIRST = 0x20_0000
SIZE = 0x10_0000
PAGES = SIZE // PAGE
MACHINE = MachineConfiguration(2, 1, 32 << 20)


def filling(number: int) -> tuple[str, ...]:
    """Stores its address to every word of a megabyte; then, for each character it gets, its number to every other
    page. Tells when it has."""
    begin = (f"lui r10, {0x8000 + (FIRST >> 16):#x}", f"lui r11, {0x8000 + (FIRST + SIZE >> 16):#x}")
    return (
        "lui r8, 0xbf00",
        *begin,
        "fill:",
        "sw r10, 0(r10)",
        "addiu r10, r10, 4",
        "bne r10, r11, fill",
        "nop",
        "tell:",
        f"addiu r9, r0, {ord('r')}",
        "sb r9, 0x900(r8)",
        "poll:",
        "lbu r9, 0x928(r8)",
        "andi r9, r9, 1",
        "beq r9, r0, poll",
        "nop",
        "lbu r9, 0x900(r8)",
        *begin,
        f"addiu r12, r0, {number}",
        "store:",
        "sw r12, 8(r10)",
        "addiu r10, r10, 0x2000",
        "bne r10, r11, store",
        "nop",
        "beq r0, r0, tell",
        "nop",
    )


def expected(number: int | None) -> bytes:
    """What is in that megabyte, before or after the stores."""
    words = bytearray().join((0x8000_0000 + FIRST + at).to_bytes(4, "little") for at in range(0, SIZE, 4))
    for page in range(0, SIZE if number is not None else 0, 2 * PAGE):
        words[page + 8 : page + 12] = (number or 0).to_bytes(4, "little")
    return bytes(words)


def contents(cluster: Cluster, name: str) -> bytes:
    task = cluster.members[name].task
    assert task is not None
    with cluster.scheduler.hold(task):
        return task.virtual_machine.memory.read(FIRST, SIZE)


def image(directory: Path, name: str, *lines: str) -> Path:
    path = directory / name
    path.write_bytes(raw_image(*lines))
    return path


def sharing_of(cluster: Cluster) -> PageSharing:
    assert cluster.page_sharing is not None
    return cluster.page_sharing


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at intervals that tests can wait for."""
    for name in ("_FIRST_DELAY", "_LONGEST_DELAY"):
        monkeypatch.setattr(page_sharing, name, 0.02)


def test_equal_pages_become_one_while_all_run(tmp_path: Path) -> None:
    numbers = {f"vm{number}": number for number in range(1, 4)}
    kernels = {name: image(tmp_path, name, *filling(number)) for name, number in numbers.items()}
    members = [
        member(name, kernel, home_node=number % 2) for number, (name, kernel) in enumerate(kernels.items())
    ]
    with running(members, MACHINE) as cluster:
        told = {name: wait_for_output(cluster.members[name], b"r") for name in numbers}
        sharing, memory = sharing_of(cluster), cluster.machine.memory
        wait_until(lambda: memory.allocated < PAGES + 64, "one copy of the megabyte")
        assert cluster.do(cluster.audit).result() == []
        assert sharing.statistics()["joined"] >= 2 * PAGES
        assert all(contents(cluster, name) == expected(None) for name in numbers)
        for name in numbers:
            cluster.members[name].console.type(b"g")
        for name, number in numbers.items():
            wait_for_output(cluster.members[name], b"r", told[name])
            assert contents(cluster, name) == expected(number)
        assert memory.allocated >= 2 * PAGES
        assert cluster.do(cluster.audit).result() == []
        cluster.do(cluster.members["vm1"].kill, "for the test").result()
        wait_for_state(cluster.members["vm1"], MemberState.STOPPED)
        assert all(contents(cluster, name) == expected(numbers[name]) for name in ("vm2", "vm3"))
        assert cluster.do(cluster.audit).result() == []


def test_a_page_is_stored_to_again_and_again_while_it_is_joined(tmp_path: Path) -> None:
    kernels = [image(tmp_path, f"vm{number}", *filling(7)) for number in range(2)]
    with running([member(kernel.name, kernel) for kernel in kernels], MACHINE) as cluster:
        members = list(cluster.members.values())
        told = [wait_for_output(each, b"r") for each in members]
        sharing = sharing_of(cluster)
        rounds = 0
        while rounds < 20 or sharing.sharing.joined < 2 * PAGES:
            rounds += 1
            for each in members:
                each.console.type(b"g")
            told = [wait_for_output(each, b"r", at) for each, at in zip(members, told, strict=True)]
        assert all(contents(cluster, each.name) == expected(7) for each in members)
        assert cluster.do(cluster.audit).result() == []


def test_nothing_is_looked_at_while_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wakes = 0
    tasks = PageSharing._tasks

    def counted(self: PageSharing) -> object:
        nonlocal wakes
        wakes += 1
        return tasks(self)

    monkeypatch.setattr(PageSharing, "_tasks", counted)
    kernel = image(tmp_path, "echo", *ECHO)
    with running([member("echo", kernel)], MACHINE) as cluster:
        wait_for_state(cluster.members["echo"], MemberState.IDLE)
        sharing = sharing_of(cluster)
        wait_until(lambda: sharing.looks >= 2, "the looks that follow a start")
        seen = wakes
        wait_until(lambda: wakes > seen + 2, "time")
        looks, seen = sharing.looks, wakes
        wait_until(lambda: wakes > seen + 10, "time")
        assert sharing.looks == looks
        sharing.look_soon()
        wait_until(lambda: sharing.looks >= looks + 2, "looks that were asked for")


def test_scarce_memory_makes_it_look(tmp_path: Path) -> None:
    kernel = image(tmp_path, "echo", *ECHO)
    with running([member("echo", kernel)], MACHINE) as cluster:
        sharing, memory = sharing_of(cluster), cluster.machine.memory
        wait_until(lambda: sharing.looks >= 2, "the looks that follow a start")
        before = sharing.looks
        assert memory.reclaim is not None
        with memory.lock:
            memory.reclaim(1)
        wait_until(lambda: sharing.looks >= before + 2, "looks")


def test_it_can_be_left_alone(tmp_path: Path) -> None:
    machine = MachineConfiguration(1, 1, 32 << 20, content_sharing=False)
    with running([member("echo", image(tmp_path, "echo", *ECHO))], machine) as cluster:
        assert cluster.page_sharing is None


def test_what_is_gone_is_not_joined(tmp_path: Path) -> None:
    kernels = [image(tmp_path, f"vm{number}", *filling(number)) for number in range(2)]
    with running([member(kernel.name, kernel) for kernel in kernels], MACHINE) as cluster:
        members = list(cluster.members.values())
        for each in members:
            wait_for_output(each, b"r")
        sharing = sharing_of(cluster)
        sharing.close()
        looking = page_sharing.ContentSharing(cluster.machine.memory)
        tasks = {each.task.virtual_machine.memory: (each, each.task) for each in members if each.task}
        looking.look(tasks)
        matches = looking.look(tasks)
        assert matches
        cluster.do(members[0].kill, "for the test").result()
        wait_until(members[0].has_ended.is_set, "end")
        assert cluster.do(sharing._join_some, matches, list(tasks.values())).result() == 0
        assert matches == []
        assert cluster.do(cluster.audit).result() == []
