"""Equal pages of virtual machines become one, until somebody stores to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system import content_sharing
from runtime.system.auditor import Tenant, audit
from runtime.system.content_sharing import ContentSharing
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory

PAGE = MACHINE_PAGE_SIZE
FRAMES = 16
NEVER = 1 << 62


@pytest.fixture
def machine() -> Iterator[MachineMemory]:
    machine = MachineMemory(256 * PAGE, 2)
    yield machine
    audit(machine, [])
    machine.close()


@pytest.fixture
def sharing(machine: MachineMemory) -> ContentSharing:
    return ContentSharing(machine)


@pytest.fixture
def memories(machine: MachineMemory) -> Iterator[list[PhysicalMemory]]:
    memories = [PhysicalMemory(machine, [(0, FRAMES * PAGE)]) for _ in range(3)]
    for number, memory in enumerate(memories):
        for frame in range(FRAMES):
            memory.write(frame * PAGE, bytes([frame % 8 + 1]) * PAGE)
        memory.write(5 * PAGE, bytes([0x80 + number]))
    yield memories
    for memory in memories:
        memory.close()


def contents(memory: PhysicalMemory) -> bytes:
    return memory.read(0, FRAMES * PAGE)


def share(sharing: ContentSharing, memories: list[PhysicalMemory]) -> int:
    """Two looks, as the first one only finds out what does not change; and everything at once."""
    sharing.look(memories)
    return sharing.join(sharing.look(memories), NEVER)


def test_equal_pages_become_one(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    before = [contents(memory) for memory in memories]
    assert share(sharing, memories) == sharing.joined == 48 - 8 - 3
    audit(machine, [Tenant(memory) for memory in memories])
    assert machine.allocated == 11
    assert [contents(memory) for memory in memories] == before
    assert share(sharing, memories) == 0
    memories[0].write(0, b"mine")
    assert [contents(memory) for memory in memories[1:]] == before[1:]
    assert memories[0].read(0, 5) == b"mine\1"
    assert memories[0].read(8 * PAGE, PAGE) == b"\1" * PAGE
    audit(machine, [Tenant(memory) for memory in memories])


def test_a_page_that_changes_is_left_alone(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    assert sharing.look(memories) == []
    for memory in memories:
        memory.write(0, b"new")
    assert all(
        frame for match in sharing.look(memories) for _, frame in (match.place, match.other or match.place)
    )
    assert {match.place[1] for match in sharing.look(memories)} >= {0}


def test_what_has_changed_since_the_look_is_not_joined(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    sharing.look(memories)
    matches = sharing.look(memories)
    for frame in range(FRAMES):
        memories[1].write(frame * PAGE, bytes([0x40 + frame]))
        memories[2].release(frame * PAGE, PAGE)
    before = [contents(memory) for memory in memories]
    assert sharing.join(matches, NEVER) == 8 - 1
    assert [contents(memory) for memory in memories] == before
    audit(machine, [Tenant(memory) for memory in memories])


def test_a_latecomer_joins_what_others_have_joined(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    assert share(sharing, memories[:2]) == 32 - 8 - 2
    sharing.look(memories)
    matches = sharing.look(memories)
    assert {match.memories for match in matches} == {frozenset(memories[2:])}
    assert sharing.join(matches, NEVER) == 16 - 1
    audit(machine, [Tenant(memory) for memory in memories])


def test_what_was_joined_may_be_gone_and_its_page_another(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    share(sharing, memories[:2])
    sharing.look(memories)
    matches = sharing.look(memories)
    for memory in memories[:2]:
        memory.release(0, FRAMES * PAGE)
        for frame in range(FRAMES):
            memory.write(frame * PAGE, bytes([0x60 + frame % 3]) * PAGE)
    before = [contents(memory) for memory in memories]
    other = ContentSharing(machine)
    share(other, memories[:2])
    assert sharing.join(matches, NEVER) == 0
    assert [contents(memory) for memory in memories] == before
    audit(machine, [Tenant(memory) for memory in memories])


def test_joining_ends_when_its_time_is_over(sharing: ContentSharing, memories: list[PhysicalMemory]) -> None:
    sharing.look(memories)
    matches = sharing.look(memories)
    left = len(matches)
    while matches:
        assert sharing.join(matches, 0) == 1
        left -= 1
        assert len(matches) == left


def test_a_look_finds_so_many_and_the_next_one_the_rest(
    sharing: ContentSharing, memories: list[PhysicalMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_sharing, "MOST_MATCHES", 30)
    assert (share(sharing, memories), share(sharing, memories), share(sharing, memories)) == (30, 7, 0)


def test_equal_pages_with_code_become_one_that_has_code(
    machine: MachineMemory, sharing: ContentSharing, memories: list[PhysicalMemory]
) -> None:
    for memory in memories[1:]:
        memory.mark_code(2)
    kept, gone = memories[1].machine_page(2), memories[2].machine_page(2)
    share(sharing, memories)
    audit(machine, [Tenant(memory) for memory in memories])
    assert [memory.machine_page(2) for memory in memories] == [kept] * 3
    assert machine.decoded.flags[kept] and not machine.decoded.flags[gone]
    memories[1].write(2 * PAGE, b"x")
    assert (memories[0].read(2 * PAGE, 1), memories[0].has_code(2)) == (b"\3", True)
    assert (memories[1].read(2 * PAGE, 1), memories[1].has_code(2)) == (b"x", False)
    audit(machine, [Tenant(memory) for memory in memories])
    assert share(sharing, memories) == 0
    memories[1].write(2 * PAGE, b"\3")
    assert share(sharing, memories) == 1  # with what two have already
    audit(machine, [Tenant(memory) for memory in memories])
