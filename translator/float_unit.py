"""The FPU on Python integers, over a CpuState: what the reference engine computes with.

It and native code may take turns on one state: FCSR is in `fcsr` and `fcc`, except for the sticky flags that
native code leaves in `guest_mxcsr` and for Cause while `last_fp_operation` is set.
"""

from __future__ import annotations

from translator.fcsr import (
    CAUSE_MASK,
    CAUSE_SHIFT,
    CHECKED_MASK,
    CONDITION_BITS,
    CONDITIONS_MASK,
    ENABLES_SHIFT,
    FIR_24KF,
    FLAGS_MASK,
    FLAGS_SHIFT,
    FLUSH_BIT,
    ROUNDING_MASK,
    WRITABLE_MASK,
    FloatException,
    Rounding,
)
from translator.float_format import FORMAT_WIDTH
from translator.float_operations import (
    FloatOperation,
    arithmetic_operation,
    compare_operation,
    convert_operation,
    operation_by_number,
)
from translator.host_float import control_of, exceptions_of
from translator.softfloat import Evaluation, evaluate
from translator.softfloat_rounding import Environment
from translator.state import CpuState

UNORDERED_EQUAL_LESS = 7
"""The part of the condition field that selects relations."""


class FloatTrap(Exception):
    """An enabled floating-point exception: the instruction must raise ExceptionCode.FPE."""


class FloatUnit:
    """One vCPU's FPU. Operands and results are bits, as unsigned integers."""

    def __init__(self, state: CpuState) -> None:
        self._state = state

    def float_arithmetic(self, operation: str, kind: str, *operands: int) -> int:
        """See `translator.algebra.Cpu`; FloatTrap if an enabled exception occurs, nothing else being done."""
        return self._carry_out(arithmetic_operation(operation, kind), operands)

    def float_compare(self, condition: int, kind: str, a: int, b: int) -> int:
        """0 or 1, otherwise like float_arithmetic."""
        relation = self._carry_out(compare_operation(condition, kind), (a, b))
        return int(relation & condition & UNORDERED_EQUAL_LESS != 0)

    def float_convert(self, operation: str, to: str, kind: str, operand: int) -> int:
        """Like float_arithmetic."""
        return self._carry_out(convert_operation(operation, to, kind), (operand,))

    def read_fcsr(self) -> int:
        """FCSR as the guest sees it."""
        return read_fcsr(self._state)

    def write_fcsr(self, value: int) -> None:
        """Set FCSR. FloatTrap if the new Cause names an enabled exception; FCSR has its new value even so."""
        write_fcsr(self._state, value)
        if trapping_causes(value):
            raise FloatTrap

    def _carry_out(self, operation: FloatOperation, operands: tuple[int, ...]) -> int:
        state = self._state
        result, exceptions = evaluate(operation, operands, _environment(state))
        state.last_fp_operation = 0
        state.fcsr = state.fcsr & ~CAUSE_MASK | exceptions << CAUSE_SHIFT
        if state.fcsr >> ENABLES_SHIFT & exceptions:
            raise FloatTrap
        state.fcsr |= exceptions << FLAGS_SHIFT
        return result


def reset_float_state(state: CpuState) -> None:
    """The FPU as a program finds it at its start. Must be called before native code runs on `state`."""
    state.fir = FIR_24KF
    write_fcsr(state, 0)


def read_fcsr(state: CpuState) -> int:
    """FCSR with everything that is kept elsewhere put in its place."""
    value = state.fcsr & ~CONDITIONS_MASK | exceptions_of(state.guest_mxcsr) << FLAGS_SHIFT
    for number, bit in enumerate(CONDITION_BITS):
        value |= state.fcc[number] << bit
    if state.last_fp_operation:
        cause = _last_evaluation(state).exceptions << CAUSE_SHIFT
        value = value & ~CAUSE_MASK | cause
    return int(value)


def write_fcsr(state: CpuState, value: int) -> None:
    """Make FCSR `value`, of which only the writable bits count; raises nothing."""
    value &= WRITABLE_MASK
    for number, bit in enumerate(CONDITION_BITS):
        state.fcc[number] = value >> bit & 1
    state.fcsr = value & ~CONDITIONS_MASK
    state.float_checked = value & CHECKED_MASK != 0
    state.last_fp_operation = 0
    state.guest_mxcsr = control_of(value & ROUNDING_MASK)


def trapping_causes(value: int) -> FloatException:
    """The exceptions that FCSR = `value` both reports in Cause and enables."""
    enabled = (
        FloatException(value >> ENABLES_SHIFT & FLAGS_MASK >> FLAGS_SHIFT) | FloatException.UNIMPLEMENTED
    )
    return enabled & FloatException((value & CAUSE_MASK) >> CAUSE_SHIFT)


def _last_evaluation(state: CpuState) -> Evaluation:
    operation = operation_by_number(state.last_fp_operation)
    recorded = (state.last_fp_operand0, state.last_fp_operand1, state.last_fp_operand2)
    mask = (1 << FORMAT_WIDTH[operation.source]) - 1
    operands = tuple(operand & mask for operand in recorded[: operation.arity])
    return evaluate(operation, operands, _environment(state))


def _environment(state: CpuState) -> Environment:
    return Environment(Rounding(state.fcsr & ROUNDING_MASK), bool(state.fcsr >> FLUSH_BIT & 1))
