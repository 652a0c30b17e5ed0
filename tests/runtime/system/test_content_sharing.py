"""Equal pages of virtual machines become one, until somebody stores to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.auditor import Tenant, audit
from runtime.system.content_sharing import share_contents
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory

PAGE = MACHINE_PAGE_SIZE
FRAMES = 16


@pytest.fixture
def machine() -> Iterator[MachineMemory]:
    machine = MachineMemory(256 * PAGE, 2)
    yield machine
    audit(machine, [])
    machine.close()


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


def test_equal_pages_become_one(machine: MachineMemory, memories: list[PhysicalMemory]) -> None:
    before = [contents(memory) for memory in memories]
    assert share_contents(machine, memories) == 48 - 8 - 3
    audit(machine, [Tenant(memory) for memory in memories])
    assert machine.allocated == 11
    assert [contents(memory) for memory in memories] == before
    assert share_contents(machine, memories) == 0
    memories[0].write(0, b"mine")
    assert [contents(memory) for memory in memories[1:]] == before[1:]
    assert memories[0].read(0, 5) == b"mine\1"
    assert memories[0].read(8 * PAGE, PAGE) == b"\1" * PAGE
    audit(machine, [Tenant(memory) for memory in memories])


def test_equal_pages_with_code_become_one_that_has_code(
    machine: MachineMemory, memories: list[PhysicalMemory]
) -> None:
    for memory in memories[1:]:
        memory.mark_code(2)
    kept, gone = memories[1].machine_page(2), memories[2].machine_page(2)
    share_contents(machine, memories)
    audit(machine, [Tenant(memory) for memory in memories])
    assert [memory.machine_page(2) for memory in memories] == [kept] * 3
    assert machine.decoded.flags[kept] and not machine.decoded.flags[gone]
    memories[1].write(2 * PAGE, b"x")
    assert (memories[0].read(2 * PAGE, 1), memories[0].has_code(2)) == (b"\3", True)
    assert (memories[1].read(2 * PAGE, 1), memories[1].has_code(2)) == (b"x", False)
    audit(machine, [Tenant(memory) for memory in memories])
    assert share_contents(machine, memories) == 0
    memories[1].write(2 * PAGE, b"\3")
    assert share_contents(machine, memories) == 1  # with what two have already
    audit(machine, [Tenant(memory) for memory in memories])
