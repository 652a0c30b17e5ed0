"""The native cfc1 and ctc1 routines against the FPU on integers, and both taking turns on one state."""

from __future__ import annotations

import ctypes
import random

import pytest

from tests.translator.fpu.native_operations import native_operations
from tests.translator.fpu.operands import random_operands
from translator.fcsr import CHECKED_MASK, ENABLES_MASK, FLUSH_BIT, WRITABLE_MASK
from translator.float_ir import WRITE_CHANGES_MODE, WRITE_TRAPS, FloatChecking
from translator.float_operations import FLOAT_OPERATIONS
from translator.float_unit import read_fcsr, reset_float_state, trapping_causes, write_fcsr
from translator.host_float import CONTROL_DEFAULT, control_of
from translator.state import CpuState

STATE_BYTES = ctypes.sizeof(CpuState)


@pytest.fixture
def state() -> CpuState:
    state = CpuState()
    reset_float_state(state)
    return state


def test_reset(state: CpuState) -> None:
    assert read_fcsr(state) == 0
    assert state.fir == 0x0073_9300
    assert state.guest_mxcsr == CONTROL_DEFAULT


def test_write_then_read(first_seed: int) -> None:
    native = native_operations(FloatChecking.NEVER)
    source = random.Random(first_seed)
    written = CpuState()
    reset_float_state(written)
    reset_float_state(native.state)
    for _ in range(2000):
        value = source.getrandbits(32) & (source.getrandbits(32) | ~ENABLES_MASK)
        was_checked = bool(read_fcsr(written) & CHECKED_MASK)
        write_fcsr(written, value)
        expected = WRITE_TRAPS if trapping_causes(value) else 0
        if was_checked != bool(value & CHECKED_MASK):
            assert native.write_fcsr(value) == WRITE_CHANGES_MODE, f"{value:#010x}"
        assert native.write_fcsr(value) == expected, f"{value:#010x}"
        assert bytes(native.state) == bytes(written), f"{value:#010x}"
        assert native.read_fcsr() == read_fcsr(written) == value & WRITABLE_MASK


def test_rounding_mode_reaches_the_host(state: CpuState) -> None:
    for mode in range(4):
        write_fcsr(state, mode)
        assert state.guest_mxcsr == control_of(mode)


def test_cause_of_recorded_operation_read_from_python(first_seed: int) -> None:
    """An operation done natively, FCSR read by both."""
    native = native_operations(FloatChecking.NEVER)
    source = random.Random(first_seed)
    for operation in FLOAT_OPERATIONS:
        for operands in random_operands(operation, source, 40):
            (outcome,) = native.run(operation, [(operands, source.randrange(4))])
            assert native.state.last_fp_operation == operation.number
            flags = read_fcsr(native.state) | outcome.fcsr  # the driver leaves the sticky flags behind
            assert flags == outcome.fcsr, operation.symbol


def test_flushing_and_enables_are_checked(state: CpuState) -> None:
    for bit in (*range(7, 12), FLUSH_BIT):
        write_fcsr(state, 1 << bit)
        assert state.float_checked == 1
        write_fcsr(state, 0)
        assert state.float_checked == 0
