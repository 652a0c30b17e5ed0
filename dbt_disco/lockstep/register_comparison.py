"""Comparing two vCPUs' registers, and carrying them from one to the other."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from dbt_disco.registers import GENERAL_NAMES, Registers
from translator.float_unit import read_fcsr
from translator.state import OFFSET, CpuState

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

_COPIED = ("pc", "hi", "lo", "user_local", "link_address", "link_valid", "link_value", "branch_target")
"""Scalar fields of the state that a system call or a signal's handler may change, FCSR apart."""
_GENERAL_SIZE: Final = 32 * 4
_PC_TO_FPR: Final = OFFSET["fpr"] + CpuState.fpr.size - OFFSET["pc"]
"""Of what lies side by side in the state: pc, HI and LO, FPU registers."""


def registers_by_name(state: CpuState, wide_fpu: bool) -> dict[str, int]:
    """All that a program can see of its processor, and where it is."""
    values = dict(zip(GENERAL_NAMES, state.gpr, strict=False))
    values |= {"pc": state.pc, "hi": state.hi, "lo": state.lo}
    step = 1 if wide_fpu else 2
    values |= {f"f{step * number}": state.fpr[number] for number in range(32 // step)}
    values["fcsr"] = read_fcsr(state)
    values["userlocal"] = state.user_local
    values["delay slot of"] = (state.pc - 4) & 0xFFFF_FFFF if state.in_delay_slot else 0
    values["branch target"] = state.branch_target if state.in_delay_slot else 0
    values["instructions"] = state.clock // 16
    return values


def are_equal(first: CpuState, second: CpuState) -> bool:
    """Whether `registers_by_name` would give the same for both, found out faster."""
    return (
        _bytes(first, "gpr", _GENERAL_SIZE) == _bytes(second, "gpr", _GENERAL_SIZE)
        and _bytes(first, "pc", _PC_TO_FPR) == _bytes(second, "pc", _PC_TO_FPR)
        and first.clock == second.clock
        and first.user_local == second.user_local
        and first.in_delay_slot == second.in_delay_slot
        and (not first.in_delay_slot or first.branch_target == second.branch_target)
        and read_fcsr(first) == read_fcsr(second)
    )


def _bytes(state: CpuState, field: str, size: int) -> bytes:
    return ctypes.string_at(ctypes.addressof(state) + OFFSET[field], size)


def copy_registers(source: AnyVcpu, target: AnyVcpu) -> None:
    """Make `target` continue where `source` is."""
    if target.wide_fpu != source.wide_fpu:
        target.wide_fpu = source.wide_fpu
    for number in range(32):
        target.state.gpr[number] = source.state.gpr[number]
        target.state.fpr[number] = source.state.fpr[number]
    for name in _COPIED:
        setattr(target.state, name, getattr(source.state, name))
    target.state.in_delay_slot = source.state.in_delay_slot
    target.state.clock = source.state.clock
    before, after = Registers(target), Registers(source)
    if before["fcsr"] != after["fcsr"]:
        before["fcsr"] = after["fcsr"]
