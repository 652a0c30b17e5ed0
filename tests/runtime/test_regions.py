"""Hot code in regions: state at faults and stops, invalidation, the worker's death."""

from __future__ import annotations

import os
import time

import pytest

from runtime.address_space import EXEC, READ, WRITE, AddressSpace
from runtime.vcpu import Vcpu
from tests.runtime.native_guest import CODE, DATA, guest, words
from translator.state import ExceptionCode, Stop

COUNT_DOWN = """
    addu r2, r2, r4
    addiu r4, r4, -1
    bne r4, r0, -3
    xori r3, r3, 5       # delay slot
    break
"""

STORE_LOOP = """
    sw r4, 0(r5)         # faults when r5 leaves the page
    addiu r6, r6, 3
    addiu r5, r5, 4
    bne r5, r7, -4
    addiu r4, r4, 1
    break
"""


def run_until_translated(vcpu: Vcpu, seconds: float = 30) -> None:
    """Run the guest again and again until a region of it is installed."""
    start = {n: vcpu.state.gpr[n] for n in range(1, 32)}
    until = time.monotonic() + seconds
    while not vcpu.translations.counts.installed:
        assert time.monotonic() < until, f"nothing was translated: {vcpu.translations.failures}"
        for number, value in start.items():
            vcpu.state.gpr[number] = value
        vcpu.state.pc = CODE
        assert vcpu.run() is Stop.EXCEPTION
    for number, value in start.items():
        vcpu.state.gpr[number] = value
    vcpu.state.pc = CODE


def test_a_hot_loop_is_translated_and_right() -> None:
    with guest(COUNT_DOWN, engine="auto") as vcpu:
        vcpu.state.gpr[4] = 100_000
        run_until_translated(vcpu)
        assert vcpu.run() is Stop.EXCEPTION
        assert vcpu.state.exception_code == ExceptionCode.BP
        assert vcpu.state.gpr[2] == 100_000 * 100_001 // 2 & 0xFFFF_FFFF
        assert vcpu.state.gpr[3] == 0


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
def test_registers_are_exact_at_a_fault(engine: str) -> None:
    with guest(STORE_LOOP, engine=engine, precise_faults=True) as vcpu:
        state = vcpu.state
        state.gpr[5], state.gpr[7] = DATA, DATA + 4096
        if engine == "auto":
            state.gpr[7] = DATA  # wraps: never reached, so that the loop gets hot before it faults
            state.gpr[5] = DATA
            state.gpr[7] = DATA + 4096
            run_until_translated(vcpu)
        state.gpr[4], state.gpr[6] = 7, 1000
        state.gpr[5], state.gpr[7] = DATA, 0
        assert vcpu.run() is Stop.MEMORY_FAULT
        assert state.bad_virtual_address == DATA + 4096
        assert state.pc == CODE
        assert not state.in_delay_slot
        assert state.gpr[5] == DATA + 4096
        assert state.gpr[6] == 1000 + 3 * 1024
        assert state.gpr[4] == 7 + 1024


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
def test_a_fault_in_a_delay_slot_knows_its_branch(engine: str) -> None:
    loop = """
        addiu r6, r6, 1
        addiu r5, r5, 4
        bne r5, r7, -3
        lw r8, 0(r5)
        break
    """
    with guest(loop, engine=engine, precise_faults=True) as vcpu:
        state = vcpu.state
        state.gpr[5], state.gpr[7] = DATA - 4, DATA + 4092
        if engine == "auto":
            run_until_translated(vcpu)
        state.gpr[5], state.gpr[7], state.gpr[6] = DATA, 0, 0
        assert vcpu.run() is Stop.MEMORY_FAULT
        assert state.pc == CODE + 12
        assert state.in_delay_slot
        assert state.branch_target == CODE
        assert state.gpr[6] == 1024


def test_a_region_is_dropped_when_its_code_changes() -> None:
    with guest(COUNT_DOWN, engine="auto", writable_code=True) as vcpu:
        vcpu.state.gpr[4] = 50_000
        run_until_translated(vcpu)
        used = vcpu.native.arena.used
        vcpu.address_space.prepare_write(CODE, 4)
        vcpu.address_space.write(CODE, (0x00441023).to_bytes(4, "little"))  # subu r2, r2, r4
        assert vcpu.translations.counts.invalidated == 1
        assert vcpu.native.arena.used < used
        vcpu.run()
        assert vcpu.state.gpr[2] == -(50_000 * 50_001 // 2) & 0xFFFF_FFFF


def test_the_workers_death_costs_nothing_but_speed() -> None:
    with guest(COUNT_DOWN, engine="auto") as vcpu:
        vcpu.state.gpr[4] = 100_000
        run_until_translated(vcpu)
        client = vcpu.translations._client
        assert client is not None and client.service._worker is not None
        service = client.service
        service._worker.kill()
        vcpu.forget_code()
        installed = vcpu.translations.counts.installed
        until = time.monotonic() + 30
        while vcpu.translations.counts.installed == installed:
            assert time.monotonic() < until, "no new worker was started"
            vcpu.state.gpr[2], vcpu.state.gpr[4], vcpu.state.pc = 0, 100_000, CODE
            assert vcpu.run() is Stop.EXCEPTION
            assert vcpu.state.gpr[2] == 100_000 * 100_001 // 2 & 0xFFFF_FFFF


@pytest.mark.parametrize("instructions", [1, 2, 3, 4, 5, 4097, 123_457])
@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
def test_it_stops_after_exactly_n_instructions(engine: str, instructions: int) -> None:
    with guest(COUNT_DOWN, engine=engine, count_instructions=True) as vcpu:
        state = vcpu.state
        state.gpr[4] = 1_000_000
        vcpu.clock_limit = 16 * instructions
        assert vcpu.run() is Stop.LIMIT
        assert state.clock == 16 * instructions
        assert state.pc == CODE + 4 * (instructions % 4)
        assert state.in_delay_slot == (instructions % 4 == 3)


def test_a_stop_request_ends_an_endless_loop() -> None:
    import threading

    with guest("beq r0, r0, -1\nnop\nbreak", engine="auto") as vcpu:
        threading.Timer(0.3, vcpu.request_stop).start()
        assert vcpu.run() is Stop.LIMIT
        assert vcpu.state.pc == CODE


WRAPPED_LOOP = """
    lw r6, 0x7000(r5)    # 0xffffa000 + 0x7000 is 0x1000
    addu r2, r2, r6
    addiu r4, r4, -1
    bne r4, r0, -4
    sw r4, -0x10(r8)     # 8 - 0x10 is the kernel's
    break
"""


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
@pytest.mark.parametrize("is_late", [False, True], ids=["mapped before", "mapped while it runs"])
def test_addresses_wrap_around_to_mapped_pages(engine: str, is_late: bool) -> None:
    with guest(WRAPPED_LOOP.replace("sw r4, -0x10(r8)", "nop"), engine=engine) as vcpu:
        state, space = vcpu.state, vcpu.address_space
        state.gpr[4], state.gpr[5] = 10_000, DATA - 0x7000
        if is_late:
            if engine == "auto":
                run_until_translated(vcpu)
            assert vcpu.run() is Stop.EXCEPTION
        space.map_anonymous(0x1000, 4096, READ | WRITE)
        space.write(0x1000, (3).to_bytes(4, "little"))
        state.pc, state.gpr[2], state.gpr[4], state.gpr[5] = CODE, 0, 10_000, 0xFFFF_A000
        if engine == "auto":
            run_until_translated(vcpu)
        assert vcpu.run() is Stop.EXCEPTION
        assert state.gpr[2] == 30_000


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
@pytest.mark.parametrize(("base", "reported"), [(0xFFFF_A000, 0x1000), (0, 0xFFFF_FFF0)])
def test_addresses_that_wrap_around_fault(engine: str, base: int, reported: int) -> None:
    with guest(WRAPPED_LOOP, engine=engine) as vcpu:
        state = vcpu.state
        state.gpr[4], state.gpr[5], state.gpr[8] = 10_000, DATA - 0x7000, DATA + 0x10
        if engine == "auto":
            run_until_translated(vcpu)
        if base:
            state.gpr[5] = base
        else:
            state.gpr[8] = 0
        assert vcpu.run() is Stop.MEMORY_FAULT
        assert state.bad_virtual_address == reported


ALIASED = """
    addiu r2, r2, 1      # becomes addiu r2, r2, 2
    addiu r4, r4, -1
    bne r4, r0, -3
    nop
    sw r6, 0(r5)         # through the other mapping
    addiu r4, r4, 100
    addiu r5, r5, 0
    bne r7, r0, -8
    addiu r7, r7, -1
    break
"""


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
@pytest.mark.parametrize("is_late", [False, True], ids=["mapped before", "mapped later"])
def test_a_store_through_another_mapping_of_the_code(engine: str, is_late: bool) -> None:
    descriptor = os.memfd_create("code")
    os.write(descriptor, words(ALIASED).ljust(4096, b"\0"))
    space = AddressSpace()
    space.map_file(CODE, 4096, READ | EXEC, descriptor, 0, shared=True)
    if not is_late:
        space.map_file(DATA, 4096, READ | WRITE, descriptor, 0, shared=True)
    vcpu = Vcpu(space, engine=engine, use_cache=False)
    state = vcpu.state
    state.pc, state.gpr[4], state.gpr[5], state.gpr[7] = CODE, 10_000, DATA, 0
    if is_late:
        vcpu.state.gpr[5] = 0x60_0000
        space.map_anonymous(0x60_0000, 4096, READ | WRITE)
        assert vcpu.run() is Stop.EXCEPTION
        assert state.gpr[2] == 10_000
        space.map_file(DATA, 4096, READ | WRITE, descriptor, 0, shared=True)
        state.pc, state.gpr[2], state.gpr[4], state.gpr[5], state.gpr[7] = CODE, 0, 10_000, DATA, 0
    state.gpr[6], state.gpr[7] = int.from_bytes(words("addiu r2, r2, 2"), "little"), 1
    if engine == "auto":
        until = time.monotonic() + 30
        while not vcpu.translations.counts.installed:
            assert time.monotonic() < until
            state.pc, state.gpr[2], state.gpr[4], state.gpr[5], state.gpr[7] = CODE, 0, 10_000, 0x60_0000, 0
            if not space.regions.find(0x60_0000):
                space.map_anonymous(0x60_0000, 4096, READ | WRITE)
            assert vcpu.run() is Stop.EXCEPTION
        state.pc, state.gpr[2], state.gpr[4], state.gpr[5], state.gpr[7] = CODE, 0, 10_000, DATA, 1
    assert vcpu.run() is Stop.EXCEPTION
    vcpu.close()
    space.close()
    os.close(descriptor)
    assert state.gpr[2] == 10_000 + 2 * 100
