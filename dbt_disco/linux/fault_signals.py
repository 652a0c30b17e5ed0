"""Which signal an exception becomes (arch/mips/kernel/traps.c, unaligned.c, mm/fault.c)."""

from __future__ import annotations

from typing import Final

from dbt_disco.linux.guest_memory import GuestFault, GuestMemory
from dbt_disco.linux.signal_info import SI_KERNEL, SignalInfo
from dbt_disco.linux.signal_numbers import SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP
from runtime.address_space import EXEC, READ, WRITE
from translator.state import CpuState, ExceptionCode, Stop

# si_code
_SEGV_MAPERR: Final = 1
_SEGV_ACCERR: Final = 2
_BUS_ADRALN: Final = 1
_BUS_ADRERR: Final = 2
_TRAP_BRKPT: Final = 1
_FPE_INTDIV: Final = 1
_FPE_INTOVF: Final = 2
_FPE_FLTUNK: Final = 14

_BREAK_OVERFLOW: Final = 6
_BREAK_DIVIDE_BY_ZERO: Final = 7

# FCSR.Cause bit, si_code; the first that is set counts (force_fcr31_sig)
_FPU_CAUSES: Final = ((0x1_0000, 7), (0x8000, 3), (0x4000, 4), (0x2000, 5), (0x1000, 6))

_BREAK_CODE_BITS: Final = 20
_TRAP_CODE_BITS: Final = 10
_SPECIAL: Final = 0


def fault_signal(stop: Stop, state: CpuState, memory: GuestMemory) -> SignalInfo:
    """The signal for an exception other than a system call."""
    if stop == Stop.MEMORY_FAULT:
        return _access_signal(state.bad_virtual_address, memory)
    # si_addr of arithmetic and traps is EPC, which in a delay slot is the branch.
    exception_pc = (state.pc - 4 if state.in_delay_slot else state.pc) & 0xFFFF_FFFF
    code = state.exception_code
    if code in (ExceptionCode.BP, ExceptionCode.TR):
        return _trap_signal(code, _word(memory, state.pc), exception_pc)
    if code == ExceptionCode.OV:
        return SignalInfo(SIGFPE, _FPE_INTOVF, (exception_pc,))
    if code == ExceptionCode.FPE:
        from translator.float_unit import read_fcsr

        return SignalInfo(SIGFPE, _fpu_code(read_fcsr(state)), (exception_pc,))
    if code in (ExceptionCode.ADEL, ExceptionCode.ADES):
        address = state.bad_virtual_address
        if address & 3:
            return SignalInfo(SIGBUS, _BUS_ADRALN, (address,))
        return _access_signal(address, memory)
    if code in (ExceptionCode.TLBL, ExceptionCode.TLBS, ExceptionCode.MOD):
        return _access_signal(state.bad_virtual_address, memory)
    return SignalInfo(SIGILL, SI_KERNEL)


def _access_signal(address: int, memory: GuestMemory) -> SignalInfo:
    words = (address,)
    region = memory.space.regions.find(address)
    if region is None:
        return SignalInfo(SIGSEGV, _SEGV_MAPERR, words)
    if region.is_file and region.protection & (READ | WRITE | EXEC):
        try:
            memory.space.read(address, 1)
        except GuestFault:  # beyond the end of the file
            return SignalInfo(SIGBUS, _BUS_ADRERR, words)
    return SignalInfo(SIGSEGV, _SEGV_ACCERR, words)


def _trap_signal(code: int, instruction: int, address: int) -> SignalInfo:
    if code == ExceptionCode.BP:
        cause = instruction >> 6 & (1 << _BREAK_CODE_BITS) - 1
        if cause >= 1 << 10:  # assemblers put the code into the upper half of the field
            cause = (cause & 0x3FF) << 10 | cause >> 10
    else:
        cause = instruction >> 6 & (1 << _TRAP_CODE_BITS) - 1 if instruction >> 26 == _SPECIAL else 0
    if cause == _BREAK_OVERFLOW:
        return SignalInfo(SIGFPE, _FPE_INTOVF, (address,))
    if cause == _BREAK_DIVIDE_BY_ZERO:
        return SignalInfo(SIGFPE, _FPE_INTDIV, (address,))
    if code == ExceptionCode.BP:
        return SignalInfo(SIGTRAP, _TRAP_BRKPT, (address,))
    return SignalInfo(SIGTRAP, SI_KERNEL)


def _fpu_code(control: int) -> int:
    enables = control >> 7 & 0x1F
    for bit, code in _FPU_CAUSES:
        if control & bit and enables & bit >> 12:
            return code
    return _FPE_FLTUNK


def _word(memory: GuestMemory, address: int) -> int:
    try:
        return memory.word(address)
    except GuestFault:
        return 0
