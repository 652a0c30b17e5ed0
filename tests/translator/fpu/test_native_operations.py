"""The native lowering of every FPU operation against exact arithmetic on integers: bits, Flags, Cause,
traps."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from tests.translator.fpu.expected import execute
from tests.translator.fpu.native_operations import NativeOperations, native_operations
from tests.translator.fpu.operands import random_operands, special_operands
from translator.fcsr import CONDITIONS_MASK, ENABLES_MASK, FLAGS_MASK, FLUSH_BIT, ROUNDING_MASK, Rounding
from translator.float_ir import FloatChecking
from translator.float_operations import FLOAT_OPERATIONS, FloatOperation

Cases = list[tuple[tuple[int, ...], int]]

every_operation = pytest.mark.parametrize("operation", FLOAT_OPERATIONS, ids=lambda one: one.symbol)


def _check(native: NativeOperations, operation: FloatOperation, cases: Cases) -> None:
    for (operands, fcsr), outcome in zip(cases, native.run(operation, cases), strict=True):
        expected = execute(operation, operands, fcsr)
        shown = ", ".join(f"{operand:#x}" for operand in operands)
        assert outcome == expected, f"{operation.symbol}({shown}), FCSR {fcsr:#010x} before"


def _operands(operation: FloatOperation, source: random.Random, count: int) -> Iterator[tuple[int, ...]]:
    yield from special_operands(operation, source, 2 * count)
    yield from random_operands(operation, source, count)


def _checked_fcsr(source: random.Random) -> int:
    """Some exceptions enabled, or flushing, or both."""
    enables = source.getrandbits(12) & source.getrandbits(12) & ENABLES_MASK
    flush = source.getrandbits(1) << FLUSH_BIT
    if not enables | flush:
        flush = 1 << FLUSH_BIT
    kept = source.getrandbits(32) & (CONDITIONS_MASK | FLAGS_MASK | ROUNDING_MASK)
    return kept | enables | flush


@every_operation
def test_host_arithmetic(operation: FloatOperation, first_seed: int) -> None:
    source = random.Random(f"{operation.symbol} {first_seed}")
    native = native_operations(FloatChecking.NEVER)
    for rounding in Rounding:
        cases = [(operands, int(rounding)) for operands in _operands(operation, source, 700)]
        _check(native, operation, cases)


@every_operation
def test_flags_accumulate(operation: FloatOperation, first_seed: int) -> None:
    source = random.Random(f"{operation.symbol} {first_seed}")
    before = CONDITIONS_MASK | FLAGS_MASK | ROUNDING_MASK
    cases = [
        (operands, source.getrandbits(32) & before) for operands in random_operands(operation, source, 300)
    ]
    _check(native_operations(FloatChecking.NEVER), operation, cases)


@every_operation
@pytest.mark.parametrize("checking", [FloatChecking.ALWAYS, FloatChecking.BY_STATE], ids=lambda one: one.name)
def test_enabled_exceptions_and_flushing(
    operation: FloatOperation, checking: FloatChecking, first_seed: int
) -> None:
    source = random.Random(f"{operation.symbol} {first_seed}")
    cases = [(operands, _checked_fcsr(source)) for operands in _operands(operation, source, 500)]
    _check(native_operations(checking), operation, cases)


@every_operation
def test_choice_by_state(operation: FloatOperation, first_seed: int) -> None:
    source = random.Random(f"{operation.symbol} {first_seed}")
    modes: Sequence[int] = [_checked_fcsr(source), *map(int, Rounding)]
    cases = [(operands, source.choice(modes)) for operands in _operands(operation, source, 300)]
    _check(native_operations(FloatChecking.BY_STATE), operation, cases)


@pytest.mark.soak
def test_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        source = random.Random(seed)
        operation = source.choice(FLOAT_OPERATIONS)
        cases: Cases = []
        for operands in _operands(operation, source, 1000):
            mode = _checked_fcsr(source) if source.getrandbits(1) else source.randrange(4)
            cases.append((operands, mode))
        _check(native_operations(FloatChecking.BY_STATE), operation, cases)
