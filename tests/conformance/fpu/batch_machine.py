"""Running the record loop on a `Machine` instead of under an operating system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.conformance.fpu.batch_program import (
    RECORD,
    Case,
    Result,
    assemble_listing,
    pack,
    record_loop,
    unpack,
)
from tests.conformance.machine import CODE, DATA, DATA_SIZE, Machine, Registers, Start

BATCH = DATA_SIZE // RECORD.size
_TRAPPED_OFFSET = 40
_POINTER, _END, _CONTINUE = 16, 17, 20
"""General registers: the record, the end of the records, where to go on."""
_LOOP = CODE + 8


def run_on_machine(machine: Machine, instruction: str, load: str, cases: Sequence[Case]) -> list[Result]:
    """What `machine`, little-endian, does. An FPE exception skips the instruction, as in `batch_program`."""
    assert len(cases) <= BATCH
    words = assemble_listing(f"jr r{_CONTINUE}\nnop\n{record_loop(instruction, load)}")
    registers = Registers()
    registers.gpr[_POINTER] = DATA
    registers.gpr[_END] = DATA + RECORD.size * len(cases)
    registers.gpr[_CONTINUE] = _LOOP
    start = Start(tuple(words), registers, pack(cases).ljust(DATA_SIZE, b"\0"))
    while True:
        outcome = machine.execute(start)
        if outcome.event != "exception FPE":
            break
        data = bytearray(outcome.data)
        data[outcome.registers.gpr[_POINTER] - DATA + _TRAPPED_OFFSET] = 1
        outcome.registers.gpr[_CONTINUE] = outcome.pc + 4
        start = replace(start, registers=outcome.registers, data=bytes(data))
    assert outcome.event == "exception BP", outcome.event
    return unpack(outcome.data[: RECORD.size * len(cases)])
