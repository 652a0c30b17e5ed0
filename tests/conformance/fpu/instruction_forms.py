"""Every FPU instruction that computes, written for the registers of `batch_program`, and what it should
do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.conformance.fpu.batch_program import Case, Result
from tests.translator.fpu.operands import random_operands, special_operands
from translator.fcsr import CONDITIONS_MASK, ENABLES_MASK, FLAGS_MASK, FLUSH_BIT, ROUNDING_MASK
from translator.float_operations import FLOAT_OPERATIONS, FloatOperation, compare_operation
from translator.float_unit import FloatTrap, FloatUnit, read_fcsr, reset_float_state, write_fcsr
from translator.isa.fpu_compare import CONDITIONS
from translator.state import CpuState

_OPERAND_TEXT = {1: "f0, f2", 2: "f0, f2, f4", 3: "f0, f6, f2, f4"}


@dataclass(frozen=True)
class Form:
    """One instruction."""

    text: str
    operation: FloatOperation
    condition: int = 0
    """Of a comparison."""

    @property
    def mnemonic(self) -> str:
        return self.text.split()[0]

    @property
    def load(self) -> str:
        """The instruction that loads its operands."""
        return "lwc1" if self.operation.source in "sw" else "ldc1"

    @property
    def needs_wide_fpu(self) -> bool:
        return "l" in (self.operation.source, self.operation.result)

    def expected(self, case: Case) -> Result:
        """According to the FPU on integers."""
        state = CpuState()
        reset_float_state(state)
        write_fcsr(state, case.fcsr)
        try:
            result, trapped = self._compute(state, FloatUnit(state), case.operands), False
        except FloatTrap:
            result, trapped = 0, True
        return Result(result, trapped, read_fcsr(state))

    def _compute(self, state: CpuState, unit: FloatUnit, operands: tuple[int, ...]) -> int:
        operation = self.operation
        if operation.group == "arithmetic":
            return unit.float_arithmetic(operation.name, operation.source, *operands)
        if operation.group == "convert":
            return unit.float_convert(operation.name, operation.result, operation.source, *operands)
        state.fcc[0] = unit.float_compare(self.condition, operation.source, *operands)
        return 0


def _forms() -> Iterator[Form]:
    for operation in FLOAT_OPERATIONS:
        if operation.group == "arithmetic":
            yield Form(f"{operation.name}.{operation.source} {_OPERAND_TEXT[operation.arity]}", operation)
        elif operation.group == "convert":
            yield Form(f"{operation.name}.{operation.result}.{operation.source} f0, f2", operation)
    for condition, name in enumerate(CONDITIONS):
        for kind in "sd":
            yield Form(f"c.{name}.{kind} cc0, f2, f4", compare_operation(condition, kind), condition)


FORMS = tuple(_forms())


def cases(form: Form, source: random.Random, count: int, traps: bool) -> list[Case]:
    """Special and random operands (`count` of each) under plain, flushing and, if `traps`, enabling FCSRs."""
    operands = [
        *special_operands(form.operation, source, count),
        *random_operands(form.operation, source, count),
    ]
    return [Case(values, _fcsr(source, traps)) for values in operands]


def _fcsr(source: random.Random, traps: bool) -> int:
    rounding = source.getrandbits(2)
    choice = source.randrange(4)
    if choice < 2:
        return rounding
    value = source.getrandbits(32) & (CONDITIONS_MASK | FLAGS_MASK | ROUNDING_MASK | 1 << FLUSH_BIT)
    if choice == 3 and traps:
        value |= source.getrandbits(32) & source.getrandbits(32) & ENABLES_MASK
    return value
