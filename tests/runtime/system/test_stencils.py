"""Runs of stencils: warm code has them, and whatever changes that code, or fills their memory, they do what it says."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Literal

import pytest

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.native_code import system_native_code
from runtime.system.vcpu import SystemVcpu
from tests.conformance.assembler import assemble
from tests.dbt_disco.virtual_machine.bare_programs import raw_image
from tests.runtime.system.bare_machine import CODE, BareMachine
from translator.encoding import ENCODINGS, Flow
from translator.predecode import ENTRY_SIZE
from translator.system.coprocessor import needs_coprocessor_1
from translator.system.heat import RUN_HEAT
from translator.system.stencil_cpu import CountingStencilCpu, StencilCpu, stencil_of

_NOT_SIMPLE = {"swl", "swr", "bltzal", "bgezal", "movf", "movt", "prefx", "rdhwr.cc", "rdhwr.synci_step"}
"""User-mode integer instructions without a stencil, beside branch-likely ones and those that always raise."""
_TURNS = 200


@pytest.fixture(params=[False, True], ids=["le", "be"])
def machine(request: pytest.FixtureRequest) -> Iterator[BareMachine]:
    machine = BareMachine("auto", big_endian=request.param)
    yield machine
    machine.close()


def vcpu_of(machine: BareMachine) -> SystemVcpu:
    assert isinstance(machine.vcpu, SystemVcpu)
    return machine.vcpu


def handler(machine: BareMachine, physical: int) -> int:
    """What the entry of an instruction runs: an offset in the arena."""
    page = machine.memory.machine_page(physical >> MACHINE_PAGE_SHIFT)
    assert page is not None
    entries = vcpu_of(machine).variant.entries(page)
    place = (physical & MACHINE_PAGE_SIZE - 1) >> 2
    return ctypes.c_uint32.from_address(entries + place * ENTRY_SIZE).value


def runs_a_stencil(machine: BareMachine, physical: int) -> bool:
    native = vcpu_of(machine).native
    return native.handlers_end <= handler(machine, physical) < native.tier_0_end


@pytest.mark.parametrize("kind", [StencilCpu, CountingStencilCpu])
def test_simple_instructions_have_stencils(kind: type[StencilCpu]) -> None:
    """None falls back to its handler unnoticed."""
    simple = [
        encoding
        for encoding in ENCODINGS.values()
        if not encoding.privileged
        and encoding.flow not in (Flow.BRANCH_LIKELY, Flow.EXCEPTION)
        and not needs_coprocessor_1(encoding)
    ]
    without = {encoding.mnemonic for encoding in simple if stencil_of(encoding, kind, False) is None}
    assert without <= _NOT_SIMPLE


def test_a_warm_loop_runs_stencils_and_what_is_executed_once_does_not(machine: BareMachine) -> None:
    machine.start(
        f"addiu r4, r0, {_TURNS}", "next:", "addu r5, r5, r4", "addiu r4, r4, -1", "bne r4, r0, next", "nop"
    )
    assert machine.run() == "stop WAIT"
    assert machine.vcpu.state.gpr[5] == _TURNS * (_TURNS + 1) // 2
    assert [runs_a_stencil(machine, CODE + 4 * place) for place in range(5)] == [False, *[True] * 4]


def test_a_loop_gets_stencils_when_a_branch_has_gone_there_often_enough(machine: BareMachine) -> None:
    loop = ("next:", "addiu r4, r4, -1", "bne r4, r0, next", "nop")
    machine.start(f"addiu r4, r0, {RUN_HEAT}", *loop, f"addiu r4, r0, {RUN_HEAT}", *loop)
    machine.start(f"addiu r4, r0, {RUN_HEAT}", *loop)
    assert machine.run() == "stop WAIT"
    assert not runs_a_stencil(machine, CODE + 4)  # one branch was not taken


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("addiu r5, r5, 1", "addiu r5, r5, 100"),
        ("addiu r5, r5, 1", "beq r0, r0, end"),
        ("nop", "addiu r5, r5, 7"),
    ],
    ids=["another", "a branch", "for nothing"],
)
def test_a_word_that_is_changed_in_the_middle_of_its_run(machine: BareMachine, old: str, new: str) -> None:
    """In a late turn the loop changes an instruction in front of it, without telling the caches."""
    program = [
        "lui r8, 0x8010",
        f"addiu r4, r0, {_TURNS}",
        f"addiu r9, r0, {_TURNS // 2}",
        "next:",
        "bne r4, r9, go_on",
        "addiu r6, r6, 1",
        "lw r7, 0x100(r8)",
        "sw r7, 40(r8)",
        "go_on:",
        "addiu r5, r5, 2",
        "nop",
        "addiu r5, r5, 3",
        old,  # at 40
        "addiu r4, r4, -1",
        "bne r4, r0, next",
        "nop",
        "end:",
    ]
    place = 10
    distance = len([line for line in program if not line.endswith(":")]) - place - 1
    resolved = new.replace("end", str(distance))
    results = []
    for engine in ("reference", "auto"):
        other = BareMachine(engine, big_endian=machine.big_endian) if engine == "reference" else machine
        other.start(*program)
        order = "big" if other.big_endian else "little"
        other.memory.write(CODE + 0x100, assemble(resolved).to_bytes(4, order))
        assert other.run() == "stop WAIT"
        results.append(list(other.vcpu.state.gpr))
        if other is not machine:
            other.close()
    assert results[0] == results[1]
    if "beq" not in new:
        assert runs_a_stencil(machine, CODE + 4 * place)


def test_a_word_that_is_changed_behind_an_entry_that_a_region_has_left(machine: BareMachine) -> None:
    """A region that goes leaves an empty entry in the middle of the run that it was installed in."""
    turns = ("next:", "addiu r4, r4, -1", "addiu r5, r5, 1", "addiu r5, r5, 1", "addiu r5, r5, 1")
    machine.start("addiu r4, r0, 100", *turns, "bne r4, r0, next", "nop")
    assert machine.run() == "stop WAIT"
    assert all(runs_a_stencil(machine, CODE + 4 * place) for place in range(1, 7))
    page = machine.memory.machine_page(CODE >> MACHINE_PAGE_SHIFT)
    assert page is not None
    entries = vcpu_of(machine).variant.entries(page)
    ctypes.c_uint32.from_address(entries + 3 * ENTRY_SIZE).value = 0
    changing = raw_image(
        "lui r8, 0x8010",
        "lw r7, 0x100(r8)",
        "sw r7, 16(r8)",
        "addiu r4, r0, 100",
        f"j 0x{CODE + 4 >> 2:x}",
        "addiu r5, r0, 0",
        big_endian=machine.big_endian,
    )
    order: Literal["little", "big"] = "big" if machine.big_endian else "little"
    machine.memory.write(CODE + 0x2000, changing)
    machine.memory.write(CODE + 0x100, assemble("addiu r5, r5, 100").to_bytes(4, order))
    vcpu_of(machine).tables.clear()
    machine.vcpu.state.pc = 0x8000_0000 | CODE + 0x2000
    assert machine.run() == "stop WAIT"
    assert machine.vcpu.state.gpr[5] == 100 * 102


def test_a_store_of_data_beside_warm_code(machine: BareMachine) -> None:
    """Stores to a page with code are done one by one, by handlers."""
    machine.start(
        "lui r8, 0x8010",
        f"addiu r4, r0, {_TURNS}",
        "next:",
        "addiu r4, r4, -1",
        "sw r4, 0x200(r8)",
        "lw r5, 0x200(r8)",
        "addu r6, r6, r5",
        "bne r4, r0, next",
        "nop",
    )
    assert machine.run() == "stop WAIT"
    assert machine.vcpu.state.gpr[6] == _TURNS * (_TURNS - 1) // 2


def test_loops_over_the_end_of_a_page(machine: BareMachine) -> None:
    """Forwards and backwards, with the branch, or its slot, as the last instruction of the page."""
    for last in range(-3, 4):
        padding = MACHINE_PAGE_SIZE // 4 - 6 + last
        machine.start(
            f"addiu r4, r0, {_TURNS}",
            "addu r5, r0, r0",
            *["nop"] * padding,
            "next:",
            "addiu r4, r4, -1",
            "addu r5, r5, r4",
            "bne r4, r0, next",
            "addiu r5, r5, 1",
        )
        assert machine.run() == "stop WAIT"
        assert machine.vcpu.state.gpr[5] == _TURNS * (_TURNS - 1) // 2 + _TURNS


def test_memory_for_runs_is_used_again_when_there_is_none_left(machine: BareMachine) -> None:
    vcpu = vcpu_of(machine)
    pool = vcpu.variant._pool
    assert pool is not None
    machine.start("addiu r4, r0, 100", "next:", "addiu r4, r4, -1", "bne r4, r0, next", "nop")
    assert machine.run() == "stop WAIT"
    assert pool.used > 0
    assert runs_a_stencil(machine, CODE + 4)
    pool._bounds[0] = pool.end
    for _ in range(2):
        vcpu.variant.empty_full_pool(machine.machine.decoded.runners)
    assert pool.used == 0
    assert not runs_a_stencil(machine, CODE + 4)
    vcpu.state.pc = 0x8000_0000 | CODE
    assert machine.run() == "stop WAIT"
    assert pool.used > 0
    assert runs_a_stencil(machine, CODE + 4)


class _Elsewhere:
    """Another vCPU."""

    phase = 1
    asked = 0

    def ask_for_visit(self) -> None:
        self.asked += 1


def test_memory_for_runs_is_not_used_again_while_somebody_may_run_them(machine: BareMachine) -> None:
    pool = vcpu_of(machine).variant._pool
    assert pool is not None
    pool._bounds[0] = pool.end
    elsewhere = _Elsewhere()
    forgotten: list[bool] = []
    for phase in (1, 1, 3, 3):  # it leaves twice: whoever wrote runs, and whoever ran them
        elsewhere.phase = phase
        assert pool.used
        pool.empty_if_full([elsewhere], lambda: forgotten.append(True))
        assert bool(forgotten) == (phase == 3)
    elsewhere.phase = 4
    pool.empty_if_full([elsewhere], lambda: forgotten.append(True))
    assert pool.used == 0
    assert forgotten == [True]
    assert elsewhere.asked == 2


def test_variants_beyond_the_number_of_pools_do_without() -> None:
    machines = [BareMachine("auto") for _ in range(6)]
    try:
        assert not all(vcpu_of(machine).variant.stencil_pool for machine in machines)
        for machine in machines:
            machine.start(
                "addiu r4, r0, 100", "next:", "addiu r4, r4, -1", "bne r4, r0, next", "addiu r5, r5, 1"
            )
            assert machine.run() == "stop WAIT"
            assert machine.vcpu.state.gpr[5] == 100
    finally:
        for machine in machines:
            machine.close()
    area = system_native_code(False, True, True).stencils
    assert area is not None
    assert area.free == 4
