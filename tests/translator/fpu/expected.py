"""What an operation should do, according to the FPU on integers."""

from __future__ import annotations

from typing import NamedTuple

from translator.float_operations import SIGNALS_ON_QUIET, FloatOperation
from translator.float_unit import FloatTrap, FloatUnit, read_fcsr, reset_float_state, write_fcsr
from translator.state import CpuState


class Outcome(NamedTuple):
    """What one execution did."""

    result: int
    """0 after a trap. Of a comparison: whether unordered, equal, less, as bits 0, 1, 2."""
    trapped: bool
    fcsr: int


def execute(operation: FloatOperation, operands: tuple[int, ...], fcsr: int) -> Outcome:
    """Carry out `operation` with FCSR = `fcsr`."""
    state = CpuState()
    reset_float_state(state)
    write_fcsr(state, fcsr)
    try:
        result, trapped = compute(FloatUnit(state), operation, operands), False
    except FloatTrap:
        result, trapped = 0, True
    return Outcome(result, trapped, read_fcsr(state))


def compute(unit: FloatUnit, operation: FloatOperation, operands: tuple[int, ...]) -> int:
    """The result of `operation` under the state of `unit`; FloatTrap if it traps."""
    if operation.group == "arithmetic":
        return unit.float_arithmetic(operation.name, operation.source, *operands)
    if operation.group == "convert":
        return unit.float_convert(operation.name, operation.result, operation.source, *operands)
    signals = SIGNALS_ON_QUIET if operation.name == "signal" else 0
    return sum(unit.float_compare(signals | 1 << bit, operation.source, *operands) << bit for bit in range(3))
