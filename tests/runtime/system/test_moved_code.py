"""Code whose machine page moves while it runs, or is copied for another node."""

from __future__ import annotations

from time import monotonic, sleep

import pytest

from runtime.system.auditor import Tenant, audit
from runtime.system.page_moves import PageMoves
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import raw_image
from tests.runtime.system.bare_machine import BareMachine, Engine
from translator.state import Stop

CODE = 0x10_0000
CODE_PAGE = CODE >> 12
HANDLER = 0x180
TIME_LIMIT = 60
HALT = ("di r0", "end:", "wait", "beq r0, r0, end", "nop")
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
    *HALT,
)
TURN = 1 << 17
"""Of the clock: 8,192 instructions."""


def started(engine: Engine) -> BareMachine:
    """A machine of two nodes, with all its memory on the first."""
    machine = BareMachine(engine, nodes=2)
    machine.memory.write(CODE, raw_image(*PROGRAM))
    machine.memory.write(HANDLER, raw_image(*HALT))
    state = machine.vcpu.state
    state.status = 0  # vectors in memory
    state.pc = 0x8000_0000 | CODE
    return machine


def registers_at_the_end(machine: BareMachine) -> list[int]:
    assert machine.run() == "stop WAIT"
    return list(machine.vcpu.state.gpr)[:32]


def expected_registers() -> list[int]:
    machine = started("interpreter")
    try:
        return registers_at_the_end(machine)
    finally:
        machine.close()


def run_until_there_is_a_region(machine: BareMachine, page: int) -> None:
    """Also while the compile worker takes its time."""
    vcpu = machine.vcpu
    assert isinstance(vcpu, SystemVcpu)
    deadline = monotonic() + TIME_LIMIT
    while not vcpu.variant.regions.on_page(page):
        assert monotonic() < deadline, "nothing has been translated"
        assert machine.run(vcpu.state.clock + TURN) is None, "the program has ended"
        sleep(0.002)


def seeds(machine: BareMachine, page: int) -> set[tuple[int, int]]:
    """Of the regions on a page: seed and size."""
    assert isinstance(machine.vcpu, SystemVcpu)
    found = machine.vcpu.variant.regions.on_page(page)
    return {(region.translation.seed, region.translation.instructions) for region in found}


@pytest.mark.parametrize("path", [(1,), (1, 0)], ids=["once", "there and back"])
@pytest.mark.parametrize("engine", ["interpreter", "translator", "auto"])
def test_code_that_migrates_keeps_its_regions(engine: Engine, path: tuple[int, ...]) -> None:
    """What is entered in the middle gets the region that it had, rather than a new one of its own."""
    machine = started(engine)
    memory, vcpu = machine.memory, machine.vcpu
    assert isinstance(vcpu, SystemVcpu)
    moves = PageMoves(machine.machine, lambda: {memory.number: memory})
    try:
        page = memory.machine_page(CODE_PAGE)
        if engine == "interpreter":
            machine.run(TURN)
        else:
            run_until_there_is_a_region(machine, page)
        before, compiled = seeds(machine, page), vcpu.translations.counts.compiled
        decoded = [vcpu.stops[stop] for stop in (Stop.UNDECODED, Stop.NEW_CODE)]
        fresh: int | None = page
        for node in path:
            assert fresh is not None
            fresh = moves.migrate(fresh, node)
        assert fresh is not None
        assert machine.run(vcpu.state.clock + 4 * TURN) is None
        assert [vcpu.stops[stop] for stop in (Stop.UNDECODED, Stop.NEW_CODE)] == decoded
        assert seeds(machine, fresh) == before
        assert fresh == page or seeds(machine, page) == set()
        assert vcpu.translations.counts.compiled == compiled
        audit(machine.machine, [Tenant(memory)], [])
        assert registers_at_the_end(machine) == expected_registers()
    finally:
        machine.close()


def test_history_goes_with_the_page_and_ends_with_it() -> None:
    """A page that has been taken for data, and holds code again."""
    machine = started("interpreter")
    memory, decoded = machine.memory, machine.machine.decoded
    moves = PageMoves(machine.machine, lambda: {memory.number: memory})
    try:
        machine.run(TURN)
        page = memory.machine_page(CODE_PAGE)
        for _ in range(3):
            decoded.take_for_data(page)
        fresh = moves.migrate(page, 1)
        assert decoded.times_data(fresh) == 3
        assert decoded.times_data(page) == 0
        audit(machine.machine, [Tenant(memory)], [])
        memory.make_writable(CODE_PAGE)
        memory.release(CODE, 1 << 12)
        assert decoded.times_data(fresh) == 0
        audit(machine.machine, [Tenant(memory)], [])
    finally:
        machine.close()


def test_copies_on_other_nodes_are_known_apart() -> None:
    """A frozen page goes on being the one that others are given, while there is a copy of it, and after."""
    machine = started("interpreter")
    memory, decoded = machine.memory, machine.machine.decoded
    moves = PageMoves(machine.machine, lambda: {memory.number: memory})
    try:
        machine.run(TURN)
        page = memory.machine_page(CODE_PAGE)
        memory.forbid_stores(CODE_PAGE)
        contents = memory.read(CODE, 1 << 12)
        decoded.freeze(page, contents)
        memory.used_on = 1
        copy = moves.replicate(page, 1)
        assert copy == memory.machine_page(CODE_PAGE) != page
        assert decoded.frozen_page(contents) == page
        assert set(decoded.frozen_pages()) == {page, copy}
        assert registers_at_the_end(machine) == expected_registers()
        audit(machine.machine, [Tenant(memory, machine.vcpu.tables)], [moves.held()])
        moved = moves.migrate(copy, 0)
        assert moved is None, "it is a member of a set"
    finally:
        machine.close()
