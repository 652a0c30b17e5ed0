"""The reference engine as a vCPU: stepping, limits, stop requests, and its use of the address space."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.address_space import CODE, EXEC, READ, WRITE, AddressSpace
from runtime.reference import ReferenceEngine
from tests.conformance.assembler import assemble
from translator.state import ExceptionCode, Stop

TEXT = 0x0040_0000
DATA = 0x1000_0000


class Guest:
    """An engine with a page of code and a page of data."""

    def __init__(self, *lines: str, big_endian: bool = False) -> None:
        self.space = AddressSpace()
        self.space.map_anonymous(TEXT, 0x1000, READ | WRITE | EXEC)
        self.space.map_anonymous(DATA, 0x1000, READ | WRITE)
        order = "big" if big_endian else "little"
        self.space.write(TEXT, b"".join(assemble(line).to_bytes(4, order) for line in (*lines, "break")))
        self.engine = ReferenceEngine(self.space, big_endian=big_endian)
        self.state = self.engine.state
        self.state.pc = TEXT

    def close(self) -> None:
        self.engine.close()
        self.space.close()


@pytest.fixture
def loop() -> Iterator[Guest]:
    guest = Guest("addiu r1, r1, 1", "beq r0, r0, -2", "addiu r2, r2, 1")
    yield guest
    guest.close()


def test_step_stops_between_branch_and_delay_slot(loop: Guest) -> None:
    engine, state = loop.engine, loop.state
    assert engine.step() is Stop.NONE
    assert engine.step() is Stop.NONE
    assert (state.pc, state.in_delay_slot, state.branch_target) == (TEXT + 8, 1, TEXT)
    assert engine.step() is Stop.NONE
    assert (state.pc, state.in_delay_slot) == (TEXT, 0)
    assert (state.gpr[1], state.gpr[2], state.clock) == (1, 1, 48)


def test_limit_is_exact_and_running_resumes(loop: Guest) -> None:
    for instructions in (1, 2, 7, 8, 100):
        loop.engine.clock_limit = 16 * instructions
        assert loop.engine.run() is Stop.LIMIT
        assert loop.state.clock == 16 * instructions
    assert (loop.state.gpr[1], loop.state.gpr[2]) == (34, 33)


def test_stop_request_before_and_after_running(loop: Guest) -> None:
    loop.engine.request_stop()
    assert loop.engine.run() is Stop.LIMIT
    assert loop.state.clock == 0
    loop.engine.clock_limit = 160
    assert loop.engine.run() is Stop.LIMIT
    assert loop.state.clock == 160, "a request stops one run only"


def test_pending_signal_stops(loop: Guest) -> None:
    loop.state.pending_signals = 1 << 14
    assert loop.engine.run() is Stop.LIMIT
    assert loop.state.clock == 0


def test_faulting_instruction_is_not_counted_and_changes_nothing() -> None:
    guest = Guest("addiu r1, r0, 5", "lw r1, 0(r0)")
    assert guest.engine.run() is Stop.MEMORY_FAULT
    state = guest.state
    assert (state.pc, state.clock, state.gpr[1], state.bad_virtual_address) == (TEXT + 4, 16, 5, 0)
    assert state.stop == Stop.MEMORY_FAULT
    guest.close()


def test_exception_leaves_pc_at_the_instruction() -> None:
    guest = Guest("syscall")
    assert guest.engine.run() is Stop.EXCEPTION
    assert (guest.state.exception_code, guest.state.pc) == (ExceptionCode.SYS, TEXT)
    guest.close()


def test_coprocessor_number_of_unusable_instructions() -> None:
    for word, number in (("0x40016000", 0), ("0xc8000000", 2)):
        guest = Guest(f".word {word}")
        assert guest.engine.run() is Stop.EXCEPTION
        assert (guest.state.exception_code, guest.state.coprocessor) == (ExceptionCode.CPU, number)
        guest.close()


def test_store_to_a_page_of_decoded_code_goes_through_the_address_space() -> None:
    guest = Guest("sw r1, 0(r2)")
    guest.state.gpr[1], guest.state.gpr[2] = 0x1234, DATA + 8
    guest.space.mark_code(DATA >> 12)
    dropped: list[tuple[int, int]] = []
    guest.space.code_changed = lambda first, last: dropped.append((first, last))
    assert guest.engine.run() is Stop.EXCEPTION
    assert dropped == [(DATA >> 12, DATA >> 12)]
    assert not guest.space.page_flags[DATA >> 12] & CODE
    assert guest.space.read(DATA + 8, 4) == (0x1234).to_bytes(4, "little")
    guest.close()


def test_protection_changes_count_at_once() -> None:
    guest = Guest("sw r1, 0(r2)")
    guest.state.gpr[2] = DATA
    guest.space.protect(DATA, 0x1000, READ)
    assert guest.engine.run() is Stop.MEMORY_FAULT
    guest.space.protect(DATA, 0x1000, READ | WRITE)
    assert guest.engine.run() is Stop.EXCEPTION
    guest.space.protect(TEXT, 0x1000, READ)
    guest.state.pc = TEXT
    assert guest.engine.run() is Stop.MEMORY_FAULT
    assert guest.state.bad_virtual_address == TEXT
    guest.close()


def test_changing_the_fpu_mode_keeps_the_words() -> None:
    guest = Guest("ldc1 f3, 0(r1)")
    state = guest.state
    state.gpr[1] = DATA
    state.fpr[1] = 0x3333_3333_2222_2222
    guest.engine.wide_fpu = True
    assert (state.fpr[2], state.fpr[3]) == (0x2222_2222, 0x3333_3333)
    guest.space.write(DATA, bytes(range(8)))
    assert guest.engine.run() is Stop.EXCEPTION
    assert state.fpr[3] == 0x0706_0504_0302_0100
    guest.engine.wide_fpu = False
    assert state.fpr[1] == 0x0302_0100_2222_2222
    guest.close()


def test_byte_order_of_instructions_and_data() -> None:
    guest = Guest("lw r3, 0(r1)", big_endian=True)
    guest.state.gpr[1] = DATA
    guest.space.write(DATA, bytes([1, 2, 3, 4]))
    assert guest.engine.run() is Stop.EXCEPTION
    assert guest.state.gpr[3] == 0x0102_0304
    guest.close()


def test_count_advances_every_second_instruction() -> None:
    guest = Guest(*["nop"] * 6, "rdhwr.cc r1")
    assert guest.engine.run() is Stop.EXCEPTION
    assert guest.state.gpr[1] == 3
    guest.close()
