"""Taking exceptions and interrupts, and returning from them (MIPS32 PRA vol. III, chapter 6)."""

from __future__ import annotations

from typing import Final

from runtime.reference_cpu import GuestException
from runtime.system.reference.faults import TranslationFault
from translator.cp0_registers import Cause, Status
from translator.state import CpuState, ExceptionCode

_REFILL_OFFSET: Final = 0
_GENERAL_OFFSET: Final = 0x180
_INTERRUPT_OFFSET: Final = 0x200
_BOOTSTRAP_BASE: Final = 0xBFC0_0200
_VPN2: Final = 0xFFFF_E000
_BAD_VPN2: Final = 0x007F_FFF0
"""The field of Context; above it is PTEBase."""
_CONTEXT_BASE: Final = 0xFF80_0000


def interrupt_is_due(state: CpuState) -> bool:
    """Whether an interrupt is pending, not masked, and interrupts are enabled."""
    status = state.status
    enabled = status & (Status.IE | Status.EXL | Status.ERL) == Status.IE
    return enabled and bool(state.cause & status & Cause.IP)


def enter(state: CpuState, exception: GuestException) -> None:
    """The instruction at pc raises an exception, instead of being executed."""
    if exception.bad_address is not None:
        state.bad_virtual_address = exception.bad_address
    is_nested = bool(state.status & Status.EXL)
    offset = _GENERAL_OFFSET
    if isinstance(exception, TranslationFault):
        _set_translation_registers(state, state.bad_virtual_address)
        if exception.is_refill and not is_nested:
            offset = _REFILL_OFFSET
    if exception.code is ExceptionCode.INT and state.cause & Cause.IV:
        offset = _INTERRUPT_OFFSET
    cause = state.cause & ~Cause.EXC_CODE | exception.code << Cause.EXC_CODE_SHIFT
    if exception.code is ExceptionCode.CPU:
        cause = cause & ~Cause.CE | exception.coprocessor << Cause.CE_SHIFT
    if not is_nested:
        state.epc = state.pc - 4 & 0xFFFF_FFFF if state.in_delay_slot else state.pc
        cause = cause & ~Cause.BD | (Cause.BD if state.in_delay_slot else 0)
    state.cause = cause
    base = _BOOTSTRAP_BASE if state.status & Status.BEV else state.ebase & 0xFFFF_F000
    state.status |= Status.EXL
    state.pc = base + offset & 0xFFFF_FFFF
    state.in_delay_slot = 0


def _set_translation_registers(state: CpuState, address: int) -> None:
    """Context and EntryHi are ready for the handler to write the TLB entry that is missing."""
    state.context = state.context & _CONTEXT_BASE | address >> 9 & _BAD_VPN2
    state.entry_hi = address & _VPN2 | state.entry_hi & 0xFF


def return_address(state: CpuState) -> int:
    """What eret does, and where it goes."""
    state.link_valid = 0
    if state.status & Status.ERL:
        state.status &= ~Status.ERL
        return int(state.error_epc)
    state.status &= ~Status.EXL
    return int(state.epc)
