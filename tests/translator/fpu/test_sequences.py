"""Sequences of operations, reads and writes of FCSR on one state, natively and on integers side by side."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.translator.fpu.expected import compute
from tests.translator.fpu.native_operations import native_operations
from tests.translator.fpu.operands import random_operands
from translator.fcsr import CAUSE_MASK, CHECKED_MASK, ENABLES_MASK, FLUSH_BIT, WRITABLE_MASK
from translator.float_ir import FloatChecking
from translator.float_operations import FLOAT_OPERATIONS
from translator.float_unit import FloatTrap, FloatUnit, read_fcsr, reset_float_state, write_fcsr
from translator.state import CpuState


def _run_sequence(source: random.Random, length: int) -> None:
    native = native_operations(FloatChecking.BY_STATE)
    reset_float_state(native.state)
    expected = CpuState()
    reset_float_state(expected)
    unit = FloatUnit(expected)
    history: list[str] = []
    for _ in range(length):
        choice = source.randrange(12)
        if choice == 0:
            value = source.getrandbits(32) & WRITABLE_MASK & ~CAUSE_MASK
            if source.getrandbits(1):
                value &= ~CHECKED_MASK
            elif source.getrandbits(1):
                value &= ~(source.getrandbits(32) & ENABLES_MASK | source.getrandbits(1) << FLUSH_BIT)
            history.append(f"write {value:#010x}")
            write_fcsr(expected, value)
            if source.getrandbits(1):
                native.write_fcsr(value)
            else:
                write_fcsr(native.state, value)
        elif choice < 3:
            read = native.read_fcsr() if choice == 1 else read_fcsr(native.state)
            history.append("read")
            assert read == read_fcsr(expected), history
        else:
            operation = source.choice(FLOAT_OPERATIONS)
            (operands,) = random_operands(operation, source, 1)
            shown = ", ".join(f"{operand:#x}" for operand in operands)
            history.append(f"{operation.symbol}({shown})")
            try:
                wanted = compute(unit, operation, operands), False
            except FloatTrap:
                wanted = 0, True
            assert native.perform(operation, operands) == wanted, history
    assert native.read_fcsr() == read_fcsr(native.state) == read_fcsr(expected), history


def test_sequences(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 300):
        _run_sequence(random.Random(seed), 60)


@pytest.mark.soak
def test_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        _run_sequence(random.Random(seed), 500)
