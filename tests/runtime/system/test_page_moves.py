"""Pages that move between nodes, and copies of them on several nodes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.auditor import Tenant, audit
from runtime.system.machine_memory import MachineMemory, OutOfMachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory

PAGE = MACHINE_PAGE_SIZE
NODES = 3
NODE_PAGES = 48
FRAMES = 32


class Stage:
    """A virtual machine on every node, and pages of a cache."""

    def __init__(self) -> None:
        self.machine = MachineMemory(NODES * NODE_PAGES * PAGE, NODES)
        self.memories = [PhysicalMemory(self.machine, [(0, FRAMES * PAGE)]) for _ in range(NODES)]
        for node, memory in enumerate(self.memories):
            memory.node = node
        self.cached: EntryList = (ctypes.c_uint32 * 4)()
        self.machine.allocate_run(self.cached)
        for number, entry in enumerate(self.cached):
            ctypes.memset(self.machine.address(entry - 1), number + 1, PAGE)
        self.moves = PageMoves(self.machine, lambda: {memory.number: memory for memory in self.memories})

    def audit(self) -> None:
        audit(self.machine, [Tenant(memory) for memory in self.memories], [self.cached, self.moves.held()])

    def nodes(self, frame: int) -> list[int]:
        """Where each virtual machine has a physical page."""
        return [self.machine.node_of(memory.machine_page(frame)) for memory in self.memories]


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.audit()
    for memory in stage.memories:
        memory.close()
    stage.memories.clear()
    stage.moves.sweep()
    stage.machine.release_run(stage.cached, len(stage.cached))
    stage.audit()
    assert stage.machine.allocated == 0
    stage.machine.close()


def test_a_private_page_moves_with_its_contents(stage: Stage) -> None:
    memory = stage.memories[0]
    memory.write(5 * PAGE, b"contents")
    before = memory.machine_page(5)
    allocated = stage.machine.allocated
    for node in (1, 2, 0):
        moved = stage.moves.migrate(memory.machine_page(5), node)
        assert moved is not None and moved == memory.machine_page(5)
        assert stage.machine.node_of(moved) == node
        assert memory.read(5 * PAGE, 10) == b"contents\0\0"
        memory.write(5 * PAGE, b"C")
        memory.write(5 * PAGE, b"c")
        assert memory.copied == 0
        stage.audit()
    assert stage.machine.users[before] in (0, 1)
    assert stage.machine.allocated == allocated
    assert stage.moves.migrate(memory.machine_page(5), 0) is None


def test_what_a_cache_has_does_not_migrate(stage: Stage) -> None:
    stage.memories[1].map_run(0, stage.cached, 0, 4)
    page = stage.memories[1].machine_page(0)
    assert stage.moves.migrate(page, 1) is None
    assert stage.moves.migrate(stage.machine.pages - 1, 0) is None  # free
    stage.audit()


def test_a_full_node_takes_nothing(stage: Stage) -> None:
    memory = stage.memories[0]
    memory.touch(0)
    memory.map_run(30, stage.cached, 0, 1)
    stage.memories[2].map_run(30, stage.cached, 0, 1)
    taken = [stage.machine.allocate(2) for _ in range(NODE_PAGES)]
    assert stage.moves.migrate(memory.machine_page(0), 2) is None
    assert stage.moves.replicate(memory.machine_page(30), 2) is None
    for page in taken:
        stage.machine.release(page)


def test_a_shared_page_has_one_copy_on_each_node(stage: Stage) -> None:
    for memory in stage.memories:
        memory.map_run(8, stage.cached, 0, 4)
        memory.map_run(20, stage.cached, 0, 1)
    page = stage.cached[0] - 1
    home = stage.machine.node_of(page)
    members = {stage.moves.replicate(page, node) for node in range(NODES)}
    assert None not in members and len(members) == NODES
    assert (stage.nodes(8), stage.nodes(20)) == ([0, 1, 2], [0, 1, 2])
    assert stage.moves.replicated == NODES - 1
    assert {stage.moves.replicate(page, node) for node in range(NODES)} == members
    assert stage.moves.replicated == NODES - 1
    assert all(memory.read(8 * PAGE, PAGE) == b"\1" * PAGE for memory in stage.memories)
    stage.audit()
    # A store is seen by nobody else, whether to a copy or to what was copied.
    for number, memory in enumerate(stage.memories):
        memory.write(8 * PAGE, bytes([0x80 + number]))
        stage.audit()
    for number, memory in enumerate(stage.memories):
        assert memory.read(8 * PAGE, 2) == bytes([0x80 + number, 1])
        assert memory.read(20 * PAGE, PAGE) == b"\1" * PAGE
    assert stage.moves.sweep() == 0
    for memory in stage.memories:
        memory.release(20 * PAGE, PAGE)
    stage.audit()
    assert stage.moves.sweep() == NODES - 1
    assert (stage.machine.users[page], stage.machine.node_of(page)) == (1, home)
    assert list(stage.moves.held()) == []


def test_a_set_outlives_what_it_was_made_from(stage: Stage) -> None:
    for memory in stage.memories:
        memory.map_run(8, stage.cached, 0, 1)
    page = stage.cached[0] - 1
    for node in range(NODES):
        stage.moves.replicate(page, node)
    home = stage.machine.node_of(page)
    stage.machine.release_run(stage.cached, 1)
    stage.memories[home].release(8 * PAGE, PAGE)
    assert stage.moves.sweep() == 1
    stage.audit()
    others = [memory for memory in stage.memories if memory is not stage.memories[home]]
    assert len(stage.moves.held()) == 2
    assert all(memory.read(8 * PAGE, PAGE) == b"\1" * PAGE for memory in others)
    others[0].release(8 * PAGE, PAGE)
    stage.moves.sweep()
    assert len(stage.moves.held()) == 0
    stage.audit()
    before = others[1].machine_page(8)
    others[1].write(8 * PAGE, b"x")  # alone now: no need to copy
    assert others[1].machine_page(8) == before


def test_writable_pages_are_not_replicated(stage: Stage) -> None:
    memory = stage.memories[0]
    memory.touch(3)
    assert stage.moves.replicate(memory.machine_page(3), 0) is None
    assert stage.moves.replicate(memory.machine_page(3), 1) is None


def test_copies_go_when_memory_runs_out(stage: Stage) -> None:
    for memory in stage.memories:
        memory.map_run(0, stage.cached, 0, 4)
    for entry in stage.cached:
        for node in range(NODES):
            stage.moves.replicate(entry - 1, node)
    for memory in stage.memories:
        memory.release(0, 4 * PAGE)
    stage.audit()
    taken: list[int] = []
    with pytest.raises(OutOfMachineMemory):
        while True:
            taken.append(stage.machine.allocate())
    assert len(taken) == stage.machine.pages - len(stage.cached)
    for page in taken:
        stage.machine.release(page)
