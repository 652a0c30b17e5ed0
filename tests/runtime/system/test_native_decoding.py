"""Words that native code decodes by itself, by conditions on their fields: as Python does, and asking nobody."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from itertools import product

import pytest

from runtime.addresses import MACHINE_PAGE_SHIFT
from runtime.system.vcpu import SystemVcpu
from tests.runtime.system.bare_machine import CODE, BareMachine
from translator.cp0_registers import Status
from translator.decode import decode_privileged
from translator.decode_table import decode_table
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE, handler_symbol, pack_entry
from translator.state import ExceptionCode, Stop

BIT_RANGES = [
    0x7C00_0000 | 8 << 21 | 9 << 16 | second << 11 | lsb << 6 | function
    for function in (0x00, 0x04)
    for second, lsb in product(range(32), range(32))
]
"""Every `ext` and `ins` of two registers, and every word like them that is no instruction."""
INSTRUCTIONS = [word for word in BIT_RANGES if decode_privileged(word)]
RESERVED = [word for word in BIT_RANGES if not decode_privileged(word)]
_PAGE_WORDS = 1 << MACHINE_PAGE_SHIFT - 2


MOVES_FROM_COPROCESSORS = [
    *(0x4000_0000 | 9 << 16 | register << 11 | select for register, select in product(range(32), range(8))),
    *(0x4440_0000 | 9 << 16 | register << 11 for register in range(32)),
]
"""mfc0 and cfc1 of every register there could be: those without a meaning are encodings of their own."""


@pytest.fixture
def machine() -> Iterator[BareMachine]:
    machine = BareMachine("interpreter")
    yield machine
    machine.close()


def begin(machine: BareMachine, words: list[int]) -> SystemVcpu:
    """Have them in place of as many instructions."""
    machine.start(*["nop"] * len(words))
    machine.memory.write(CODE, struct.pack(f"<{len(words)}I", *words))
    assert isinstance(machine.vcpu, SystemVcpu)
    return machine.vcpu


def check_entries(machine: BareMachine, words: list[int]) -> None:
    """Those of words that have been executed."""
    vcpu = machine.vcpu
    assert isinstance(vcpu, SystemVcpu)
    assert vcpu.stops[Stop.UNDECODED] == 0
    for number, word in enumerate(words):
        page = machine.memory.machine_page((CODE >> MACHINE_PAGE_SHIFT) + number // _PAGE_WORDS)
        assert page is not None
        at = vcpu.variant.entries(page) + number % _PAGE_WORDS * ENTRY_SIZE
        instruction = decode_privileged(word)
        assert instruction is not None
        handler = vcpu.native.handlers[handler_symbol(instruction.mnemonic)]
        expected = pack_entry(word, instruction.encoding, handler, 1)
        assert ctypes.string_at(at, COUNTER_OFFSET) == expected[:COUNTER_OFFSET], hex(word)


def test_every_bit_range_is_decoded_as_python_does_and_without_it(machine: BareMachine) -> None:
    assert len(INSTRUCTIONS) == 2 * 32 * 33 // 2
    begin(machine, INSTRUCTIONS)
    assert machine.run() == "stop WAIT"
    check_entries(machine, INSTRUCTIONS)


def test_every_coprocessor_register_is_decoded_as_python_does_and_without_it(machine: BareMachine) -> None:
    vcpu = begin(machine, MOVES_FROM_COPROCESSORS)
    vcpu.state.status = Status.CU1
    assert machine.run() == "stop WAIT"
    check_entries(machine, MOVES_FROM_COPROCESSORS)


def test_the_table_that_was_kept_is_the_one_that_would_be_made(machine: BareMachine) -> None:
    vcpu = machine.vcpu  # not the first: what it has comes from the disk
    assert isinstance(vcpu, SystemVcpu)
    expected = decode_table(vcpu.native.handlers, wide_fpu=vcpu.variant.key.wide_fpu)
    assert ctypes.string_at(vcpu.variant.decode_table, len(expected)) == expected


def test_what_is_no_bit_range_is_reserved(machine: BareMachine) -> None:
    assert len(RESERVED) == len(BIT_RANGES) - len(INSTRUCTIONS)
    vcpu = begin(machine, RESERVED)
    start = vcpu.state.pc
    for number in range(len(RESERVED)):
        vcpu.state.pc, vcpu.state.status, vcpu.state.cause = start + 4 * number, 0, 0
        assert machine.run() == "stop WAIT"
        assert vcpu.state.cause >> 2 & 31 == ExceptionCode.RI, hex(RESERVED[number])
        assert vcpu.state.epc == start + 4 * number
