"""What vCPUs access is counted by machine page and node where tables are filled, and found again when it is hot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from dbt_disco.virtual_machine.bus import Bus
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.access_sampling import AccessSampling
from runtime.system.auditor import Disagreement, Tenant, audit
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.page_placement import PagePlacement
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.placement_policy import HotPages
from runtime.system.vcpu import SystemVcpu
from tests.conformance.assembler import assemble
from translator.state import Stop
from translator.system.memory_map import NODES_MAX

PAGE = MACHINE_PAGE_SIZE
NODES = 3
NODE_PAGES = 61
"""No multiple of what is looked at together."""
FRAMES = 32
KSEG0 = 0x8000_0000
LOAD, STORE = 0, 8
_HYPCALL = assemble("hypcall").to_bytes(4, "little")
PROGRAM = b"".join(
    assemble(line).to_bytes(4, "little") + _HYPCALL for line in ("lw r10, 0(r8)", "sw r9, 0(r8)")
)


class Guest:
    """Its code is on the first page."""

    def __init__(self, machine: MachineMemory) -> None:
        self.memory = PhysicalMemory(machine, [(0, FRAMES * PAGE)])
        self.vcpu = SystemVcpu(
            self.memory,
            Bus("little"),  # type: ignore[arg-type]
            CPU_MODELS["24Kf"],
            engine="interpreter",
            instruction_clock=True,
        )
        self.memory.write(0, PROGRAM)

    def access(self, kind: int, frame: int) -> None:
        state = self.vcpu.state
        state.gpr[8] = KSEG0 | frame * PAGE
        state.pc, state.in_delay_slot = KSEG0 | kind, 0
        assert self.vcpu.run() is Stop.MONITOR_CALL

    def close(self) -> None:
        self.vcpu.close()
        self.memory.close()


class Stage:
    """A machine with one guest, which runs on node 1 and has its memory on node 0."""

    def __init__(self) -> None:
        self.machine = MachineMemory(NODES * NODE_PAGES * PAGE, NODES)
        self.guest = Guest(self.machine)
        self.memory = self.guest.memory
        self.memory.touch(0)
        self.memory.touch(16)
        self.sampling = AccessSampling(self.guest.vcpu)
        self.run_on(1)
        assert self.machine.counts is not None
        self.counts = self.machine.counts
        self.moves = PageMoves(self.machine, self.memories)
        self.placement = PagePlacement(self.machine, self.moves, self.memories, HotPages())

    def memories(self) -> dict[int, PhysicalMemory]:
        return {self.memory.number: self.memory}

    def run_on(self, node: int) -> None:
        self.sampling.runs_on(node)
        self.memory.used_on = node

    def page(self, frame: int) -> int:
        return self.memory.machine_page(frame)

    def node(self, frame: int) -> int:
        return self.machine.node_of(self.page(frame))

    def use(self, *frames: int, kind: int = LOAD, times: int = 1) -> None:
        """Access pages, each after all tables have been aged."""
        for _ in range(times):
            for frame in frames:
                self.age_all()
                self.guest.access(kind, frame)

    def age_all(self) -> None:
        for _ in range(8):
            self.sampling.age()

    def step(self) -> int:
        return self.placement.step(lambda numbers: nullcontext())

    def audit(self) -> None:
        audit(self.machine, [Tenant(self.memory, self.guest.vcpu.tables)], [self.moves.held()])


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.audit()
    stage.guest.close()
    stage.moves.sweep()
    audit(stage.machine, [])
    stage.machine.close()


def test_loads_and_stores_are_counted_apart(stage: Stage) -> None:
    stage.use(5)
    stage.use(6, kind=STORE, times=3)
    assert stage.counts.of_page(stage.page(5)) == ((0, 1, 0), (0, 0, 0))
    assert stage.counts.of_page(stage.page(6)) == ((0, 0, 0), (0, 3, 0))
    assert stage.counts.of_page(stage.page(7)) == ((0, 0, 0), (0, 0, 0))
    assert stage.counts.of_page(stage.page(0))[0][1] >= 4, "code is fetched"


def test_what_was_used_counts_once_until_tables_are_aged(stage: Stage) -> None:
    stage.use(5)
    for _ in range(10):
        stage.guest.access(LOAD, 5)
    assert stage.counts.of_page(stage.page(5))[0] == (0, 1, 0)
    stage.use(5)
    assert stage.sampling.emptied > 0
    assert stage.counts.of_page(stage.page(5))[0] == (0, 2, 0)


def test_counts_are_of_the_node_that_the_vcpu_runs_on(stage: Stage) -> None:
    for node, times in ((0, 2), (2, 3)):
        stage.run_on(node)
        stage.use(5, times=times)
    assert stage.counts.of_page(stage.page(5))[0] == (2, 0, 3)


def test_local_accesses_are_known(stage: Stage) -> None:
    stage.use(5, 6, 7)
    sampled, local = stage.sampling.counted()
    assert sampled >= 6 and local == 0
    stage.run_on(0)
    stage.use(5, 6, 7)
    sampled_then, local_then = stage.sampling.counted()
    assert sampled_then - sampled == local_then > 0


def test_nothing_is_counted_unless_it_is_wanted(stage: Stage) -> None:
    guest = Guest(stage.machine)
    try:
        for frame in range(8):
            guest.access(STORE, frame)
        assert guest.vcpu.state.fills and not guest.vcpu.state.samples
        assert all(
            stage.counts.of_page(guest.memory.machine_page(f)) == ((0,) * 3, (0,) * 3) for f in range(8)
        )
    finally:
        guest.close()


def test_counts_have_a_limit_and_get_less(stage: Stage) -> None:
    stage.use(5, times=300)
    page = stage.page(5)
    assert stage.counts.of_page(page) == ((0, 255, 0), (0, 0, 0))
    stage.counts.has_moved(page, page)
    stage.counts.has_moved(page, page)
    stage.counts.halve()
    stage.counts.halve_moves()
    assert stage.counts.of_page(page) == ((0, 127, 0), (0, 0, 0))
    assert stage.counts.moves[page] == 1
    stage.counts.forget(page)
    assert stage.counts.of_page(page) == ((0, 0, 0), (0, 0, 0))


def test_hot_pages_are_those_of_other_nodes_only(stage: Stage) -> None:
    for node in range(NODES):
        stage.memory.node = node
        stage.memory.release(0x10 * PAGE, 0x10 * PAGE)
        stage.memory.touch(0x10)
        stage.run_on(0)
        stage.use(*range(0x10, 0x20), times=3)
        pages = {stage.page(frame) for frame in range(0x10, 0x20)}
        hot = stage.counts.hot(3, 100)
        assert set(hot) == (pages if node else set()) and len(hot) == len(set(hot))
        assert stage.counts.hot(4, 100) == []
        if node:
            assert len(stage.counts.hot(3, 5)) == 5


def test_pages_move_to_where_they_are_used(stage: Stage) -> None:
    stage.memory.write(5 * PAGE, b"contents")
    stage.use(5, 6, times=3)
    assert stage.step() >= 2
    assert [stage.node(frame) for frame in (5, 6, 7)] == [1, 1, 0]
    assert stage.memory.read(5 * PAGE, 8) == b"contents"
    assert stage.counts.moves[stage.page(5)] == 1
    assert stage.moves.migrated == stage.moves.moved_to[1] == 2 + (stage.node(0) == 1)  # and its code
    stage.audit()


def test_a_page_moves_a_few_times_only(stage: Stage) -> None:
    for turn in range(2 * HotPages.most_moves):
        stage.run_on(1 + turn % 2)
        stage.use(5, times=12)
        stage.step()
        for _ in range(12):  # a page that was to stay is not looked at again at once
            stage.step()
    assert stage.counts.moves[stage.page(5)] == HotPages.most_moves
    for _ in range(3):
        stage.placement.forget_moves()
    stage.counts.forget(stage.page(5))
    for _ in range(12):
        stage.step()
    stage.run_on(0)
    stage.use(5, times=12)
    stage.step()
    assert stage.node(5) == 0


def test_a_page_that_several_nodes_store_to_stays(stage: Stage) -> None:
    for _ in range(5):
        for node in (1, 2):
            stage.run_on(node)
            stage.use(5, kind=STORE)
    stage.step()
    assert stage.node(5) == 0 and stage.moves.migrated == 0


def test_code_moves_once_and_runs_on(stage: Stage) -> None:
    for turn in range(3):
        stage.run_on(1 + turn % 2)
        stage.use(5, times=HotPages.code_trigger)
        stage.step()
    assert stage.node(0) == 1
    assert stage.counts.moves[stage.page(0)] == 1


def test_a_full_node_takes_what_it_can(stage: Stage) -> None:
    taken = [stage.machine.allocate(1) for _ in range(NODE_PAGES - 2)]
    stage.use(5, 6, 7, 8, times=3)
    stage.step()
    assert sorted(stage.node(frame) for frame in (5, 6, 7, 8)) == [0, 0, 1, 1]
    stage.memory.release(5 * PAGE, 4 * PAGE)
    for page in taken:
        stage.machine.release(page)


def test_a_page_that_is_free_has_no_history(stage: Stage) -> None:
    stage.use(5, times=3)
    page = stage.page(5)
    stage.counts.has_moved(page, page)
    stage.memory.release(5 * PAGE, PAGE)
    assert stage.counts.of_page(page) == ((0, 0, 0), (0, 0, 0)) and not stage.counts.moves[page]
    stage.counts.has_moved(page, page)
    with pytest.raises(Disagreement, match=f"page {page} is free, and has accesses or moves"):
        stage.audit()
    stage.counts.halve_moves()


def test_memmap_stays_small() -> None:
    pages = 4096
    for nodes in (2, 4, NODES_MAX):
        machine = MachineMemory(pages * PAGE, nodes)
        counts = machine.counts
        assert counts is not None
        copies = 8  # two entries of `PageMoves`
        hints = 4  # 8 for each page of the largest virtual machine, which has half of the machine's memory
        assert 16 + counts.size / machine.pages + copies + hints <= 0.015 * PAGE
        machine.close()
    machine = MachineMemory(pages * PAGE)
    assert machine.counts is None and not machine.map.counts
    machine.close()
