"""Modes, and the segments of the virtual address space (MIPS32 PRA vol. III, chapters 3 and 4)."""

from __future__ import annotations

from translator.cp0_registers import Status
from translator.state import Access, CpuState, ExceptionCode
from translator.system.views import PRIVILEGED_PAGE, Level

_PAGE: int = 0xFFFF_F000
_UNMAPPED_SEGMENTS: int = 2
"""The upper two bits of an address in KSEG0 or KSEG1."""
_SUPERVISOR_SEGMENT: int = 6
"""The upper three bits of an address in SSEG."""


def level(state: CpuState) -> Level:
    """The privilege level; the reserved KSU = 3 is like user mode."""
    status = state.status
    if status & (Status.ERL | Status.EXL) or not status & Status.KSU:
        return Level.KERNEL
    return Level.SUPERVISOR if status & Status.KSU == Status.SM else Level.USER


def may_access(state: CpuState, address: int) -> bool:
    """Whether the mode lets software use the address at all."""
    if not address >> 31:
        return True
    current = level(state)
    if current is Level.SUPERVISOR:
        return address >> 29 == _SUPERVISOR_SEGMENT
    return current is Level.KERNEL


def unmapped(state: CpuState, address: int) -> int | None:
    """The physical address, if the segment is not translated by the TLB."""
    if address >> 30 == _UNMAPPED_SEGMENTS:
        return address & 0x1FFF_FFFF
    if not address >> 31 and state.status & Status.ERL:
        return address
    return None


def is_privileged_page(state: CpuState, address: int) -> bool:
    """Whether the address is on the privileged-register page, and there is one for this mode."""
    return (
        address & _PAGE == PRIVILEGED_PAGE
        and bool(state.has_privileged_page)
        and level(state) is not Level.USER
    )


def address_error(access: Access) -> ExceptionCode:
    """AdES of a store, else AdEL."""
    return ExceptionCode.ADES if access is Access.STORE else ExceptionCode.ADEL


def coprocessor_is_usable(state: CpuState, number: int) -> bool:
    """Whether Status and the mode allow coprocessor 0 or 1."""
    if number == 0:
        return level(state) is Level.KERNEL or bool(state.status & Status.CU0)
    return bool(state.status & Status.CU1)
