"""Code whose machine page moves while it runs, or is copied for another node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

from runtime.system.auditor import Tenant, audit
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.vcpu import SystemVcpu
from tests.runtime.system.bare_machine import CODE, BareMachine, Engine
from translator.state import Stop

CODE_PAGE = CODE >> 12
TIME_LIMIT = 60
PROGRAM = (
    # The inner loop is where all the time goes, and the only one that gets hot after it has moved.
    "addiu r8, r0, 6",
    "outer:",
    "lui r9, 0x10",
    "addu r2, r2, r8",
    "inner:",
    "addu r2, r2, r9",
    "xor r3, r3, r2",
    "addiu r9, r9, -1",
    "bne r9, r0, inner",
    "nop",
    "addiu r8, r8, -1",
    "bne r8, r0, outer",
    "nop",
)
TURN = 1 << 17
"""Of the clock: 8,192 instructions."""


class Stage:
    """The program on a machine of two nodes, with all its memory on the first."""

    def __init__(self, engine: Engine) -> None:
        self.machine = BareMachine(engine, nodes=2)
        self.machine.start(*PROGRAM)
        self.memory = memory = self.machine.memory
        self.decoded = self.machine.machine.decoded
        self.moves = PageMoves(self.machine.machine, lambda: {memory.number: memory})
        vcpu = self.machine.vcpu
        assert isinstance(vcpu, SystemVcpu)
        self.vcpu = vcpu

    @property
    def page(self) -> int:
        """The machine page of the code."""
        return self.memory.machine_page(CODE_PAGE)

    def regions(self, page: int) -> set[tuple[int, int]]:
        """Of a machine page: seed and size."""
        found = self.vcpu.variant.regions.on_page(page)
        return {(region.translation.seed, region.translation.instructions) for region in found}

    def run_until_there_is_a_region(self) -> None:
        """Also while the compile worker takes its time."""
        limit = monotonic() + TIME_LIMIT
        while not self.regions(self.page):
            assert monotonic() < limit, "nothing has been translated"
            assert self.machine.run(self.vcpu.state.clock + TURN) is None, "the program has ended"
            sleep(0.002)

    def registers_at_the_end(self) -> list[int]:
        assert self.machine.run() == "stop WAIT"
        return list(self.vcpu.state.gpr)[:32]

    def audit(self) -> None:
        audit(self.machine.machine, [Tenant(self.memory, self.vcpu.tables)], [self.moves.held()])


@contextmanager
def staged(engine: Engine) -> Iterator[Stage]:
    stage = Stage(engine)
    try:
        yield stage
    finally:
        stage.machine.close()


def expected_registers() -> list[int]:
    with staged("interpreter") as stage:
        return stage.registers_at_the_end()


@pytest.mark.parametrize("path", [(1,), (1, 0)], ids=["once", "there and back"])
@pytest.mark.parametrize("engine", ["interpreter", "translator", "auto"])
def test_code_that_migrates_keeps_its_regions(engine: Engine, path: tuple[int, ...]) -> None:
    """What is entered in the middle gets the region that it had, rather than a new one of its own."""
    with staged(engine) as stage:
        page, vcpu = stage.page, stage.vcpu
        if engine == "interpreter":
            stage.machine.run(TURN)
        else:
            stage.run_until_there_is_a_region()
        before, compiled = stage.regions(page), vcpu.translations.counts.compiled
        decoded = [vcpu.stops[stop] for stop in (Stop.UNDECODED, Stop.NEW_CODE)]
        fresh: int | None = page
        for node in path:
            assert fresh is not None
            fresh = stage.moves.migrate(fresh, node)
        assert fresh is not None
        assert stage.machine.run(vcpu.state.clock + 4 * TURN) is None
        assert [vcpu.stops[stop] for stop in (Stop.UNDECODED, Stop.NEW_CODE)] == decoded
        assert stage.regions(fresh) == before
        assert fresh == page or stage.regions(page) == set()
        assert vcpu.translations.counts.compiled == compiled
        stage.audit()
        assert stage.registers_at_the_end() == expected_registers()


def test_history_goes_with_the_page_and_ends_with_it() -> None:
    """A page that has been taken for data, and holds code again."""
    with staged("interpreter") as stage:
        stage.machine.run(TURN)
        page, decoded = stage.page, stage.decoded
        for _ in range(3):
            decoded.take_for_data(page)
        fresh = stage.moves.migrate(page, 1)
        assert decoded.times_data(fresh) == 3
        assert decoded.times_data(page) == 0
        stage.audit()
        stage.memory.make_writable(CODE_PAGE)
        stage.memory.release(CODE, 1 << 12)
        assert decoded.times_data(fresh) == 0
        stage.audit()


def test_where_code_is_frozen_goes_with_the_page() -> None:
    with staged("interpreter") as stage:
        stage.machine.run(TURN)
        page, memory, decoded = stage.page, stage.memory, stage.decoded
        memory.forbid_stores(CODE_PAGE)
        decoded.freeze(page, memory.read(CODE, 1 << 12), CODE_PAGE)
        fresh = stage.moves.migrate(page, 1)
        assert fresh not in (None, page)
        assert decoded.frozen_at[CODE_PAGE] == fresh + 1
        stage.audit()
        memory.make_writable(CODE_PAGE)
        assert not decoded.frozen_at[CODE_PAGE]
        stage.audit()


def test_what_was_frozen_first_is_kept() -> None:
    """Others may freeze what is on its way to be the same."""
    machine = MachineMemory(16 << 12)
    decoded = machine.decoded
    decoded.freeze(1, b"1" * 4096, CODE_PAGE)
    decoded.freeze(2, b"2" * 4096, CODE_PAGE)
    decoded.thaw(2)
    assert decoded.frozen_at[CODE_PAGE] == 2
    decoded.thaw(1)
    decoded.freeze(2, b"2" * 4096, CODE_PAGE)
    assert decoded.frozen_at[CODE_PAGE] == 3
    decoded.thaw(2)
    machine.close()


def test_copies_on_other_nodes_are_known_apart() -> None:
    """A frozen page goes on being the one that others are given, while there is a copy of it, and after."""
    with staged("interpreter") as stage:
        stage.machine.run(TURN)
        page, memory, decoded = stage.page, stage.memory, stage.decoded
        memory.forbid_stores(CODE_PAGE)
        contents = memory.read(CODE, 1 << 12)
        decoded.freeze(page, contents, CODE_PAGE)
        memory.used_on = 1
        copy = stage.moves.replicate(page, 1)
        assert copy == stage.page != page
        assert decoded.frozen_page(contents) == page
        assert set(decoded.frozen_pages()) == {page, copy}
        assert stage.registers_at_the_end() == expected_registers()
        stage.audit()
        assert stage.moves.migrate(copy, 0) is None, "it is a member of a set"
