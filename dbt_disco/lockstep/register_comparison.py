"""Comparing two vCPUs' registers, and carrying them from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbt_disco.registers import GENERAL_NAMES, Registers

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

_COPIED = ("pc", "accumulator", "user_local", "link_address", "link_valid", "link_value", "branch_target")
"""Scalar fields of the state that a system call or a signal's handler may change, FCSR apart."""


def registers_by_name(vcpu: AnyVcpu) -> dict[str, int]:
    """All that a program can see of its processor, and where it is."""
    state = vcpu.state
    registers = Registers(vcpu)
    values = dict(zip(GENERAL_NAMES, state.gpr, strict=False))
    values |= {"pc": state.pc, "hi": state.hi, "lo": state.lo}
    step = 1 if vcpu.wide_fpu else 2
    values |= {f"f{step * number}": state.fpr[number] for number in range(32 // step)}
    values["fcsr"] = registers["fcsr"]
    values["userlocal"] = state.user_local
    values["delay slot of"] = (state.pc - 4) & 0xFFFF_FFFF if state.in_delay_slot else 0
    values["branch target"] = state.branch_target if state.in_delay_slot else 0
    values["instructions"] = state.clock // 16
    return values


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
