"""A vCPU built on Unicorn: an independent processor for testing the Linux personality."""

from __future__ import annotations

from typing import Any

import unicorn
from unicorn import mips_const as mips

from runtime.address_space import AddressSpace
from translator.state import CpuState, ExceptionCode, Stop

_GPR = [mips.UC_MIPS_REG_0 + number for number in range(32)]
_FPR = [mips.UC_MIPS_REG_F0 + number for number in range(32)]
_OTHER = [mips.UC_MIPS_REG_PC, mips.UC_MIPS_REG_HI, mips.UC_MIPS_REG_LO, mips.UC_MIPS_REG_FCSR]
_ALL = _GPR + _FPR + _OTHER
_STATUS = 0x2040_0004  # CU1, BEV, and ERL, in which user space is not translated
_STATUS_FR = 0x0400_0000
_CONDITION_BITS = 0xFE80_0000

_SYSCALL = 17
# QEMU's exception numbers (target/mips/cpu.h) -> ExcCode
_EXCEPTIONS = {
    12: ExceptionCode.ADEL,
    13: ExceptionCode.ADES,
    _SYSCALL: ExceptionCode.SYS,
    18: ExceptionCode.BP,
    19: ExceptionCode.CPU,
    20: ExceptionCode.RI,
    21: ExceptionCode.OV,
    22: ExceptionCode.TR,
    23: ExceptionCode.FPE,
}


class UnicornVcpu:
    """Satisfies `dbt_disco.linux.vcpu.Vcpu`. Guest memory is the address space's own, mapped by pointer."""

    def __init__(self, address_space: AddressSpace, big_endian: bool) -> None:
        self.state = CpuState()
        self.address_space = address_space
        self.big_endian = big_endian
        self.wide_fpu = False
        self.precise_faults = True
        self.state.memory_base = address_space.base
        mode = unicorn.UC_MODE_MIPS32 | (
            unicorn.UC_MODE_BIG_ENDIAN if big_endian else unicorn.UC_MODE_LITTLE_ENDIAN
        )
        self._uc: Any = unicorn.Uc(unicorn.UC_ARCH_MIPS, mode)
        self._uc.ctl_set_cpu_model(mips.UC_CPU_MIPS32_24KF)
        self._mapped_version = -1
        self._mapped: list[tuple[int, int]] = []
        self._exception = -1
        self._fault: tuple[int, bool] | None = None
        self._stop_requested = False
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid_access)

    def request_stop(self) -> None:
        self._stop_requested = True
        self._uc.emu_stop()

    def run(self) -> Stop:
        self._map()
        self._load()
        self._exception, self._fault = -1, None
        if self._stop_requested:
            self._stop_requested = False
            return Stop.LIMIT
        state = self.state
        start = state.pc
        try:
            # A time slice, so that Python's signal handlers get their turn.
            self._uc.emu_start(start, 0xFFFF_FFF0, timeout=50_000)
            error = None
        except unicorn.UcError as failure:
            error = failure
        self._save()
        self._stop_requested = False
        if self._exception >= 0:
            if self._exception == _SYSCALL:
                state.pc -= 4  # Unicorn has stepped over it
            return self._raised(_EXCEPTIONS[self._exception])
        if self._fault is not None:
            address, is_write = self._fault
            state.bad_virtual_address = address
            if error is not None and error.errno in (
                unicorn.UC_ERR_FETCH_UNMAPPED,
                unicorn.UC_ERR_FETCH_PROT,
            ):
                state.pc = address
                state.in_delay_slot = 0
            return self._raised(ExceptionCode.TLBS if is_write else ExceptionCode.TLBL)
        if error is None:
            return Stop.LIMIT
        if error.errno in (unicorn.UC_ERR_INSN_INVALID, unicorn.UC_ERR_EXCEPTION):
            return self._raised(ExceptionCode.RI)
        raise error

    def _raised(self, code: ExceptionCode) -> Stop:
        self.state.exception_code = code
        self.state.stop = Stop.EXCEPTION
        return Stop.EXCEPTION

    def _on_interrupt(self, uc: Any, number: int, data: Any) -> None:
        self._exception = number
        uc.emu_stop()

    def _on_invalid_access(
        self, uc: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> bool:
        is_write = access in (unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT)
        self._fault = (address & 0xFFFF_FFFF, is_write)
        return False

    def _map(self) -> None:
        space = self.address_space
        if self._mapped_version == space.version:
            return
        for start, length in self._mapped:
            self._uc.mem_unmap(start, length)
        self._mapped = []
        for region in space.regions:
            if region.protection:
                length = region.end - region.start
                self._uc.mem_map_ptr(
                    region.start, length, region.protection | unicorn.UC_PROT_READ, space.base + region.start
                )
                self._mapped.append((region.start, length))
        self._uc.ctl_flush_tb()
        self._mapped_version = space.version

    def _load(self) -> None:
        state, uc = self.state, self._uc
        status = _STATUS | (_STATUS_FR if self.wide_fpu else 0)
        uc.reg_write(mips.UC_MIPS_REG_CP0_STATUS, status)
        uc.reg_write(mips.UC_MIPS_REG_CP0_USERLOCAL, state.user_local)
        for register, value in zip(_GPR[1:], state.gpr[1:32], strict=True):
            uc.reg_write(register, value)
        floats = list(state.fpr)
        if not self.wide_fpu:
            floats = [floats[k // 2] >> (32 * (k & 1)) & 0xFFFF_FFFF for k in range(32)]
        for register, value in zip(_FPR, floats, strict=True):
            uc.reg_write(register, value)
        uc.reg_write(mips.UC_MIPS_REG_HI, state.hi)
        uc.reg_write(mips.UC_MIPS_REG_LO, state.lo)
        conditions = state.fcc[0] << 23 | sum(state.fcc[i] << (24 + i) for i in range(1, 8))
        uc.reg_write(mips.UC_MIPS_REG_FCSR, state.fcsr & ~_CONDITION_BITS | conditions)

    def _save(self) -> None:
        state, uc = self.state, self._uc
        for number, register in enumerate(_GPR):
            state.gpr[number] = uc.reg_read(register) & 0xFFFF_FFFF
        floats = [uc.reg_read(register) for register in _FPR]
        if not self.wide_fpu:
            floats = [
                floats[2 * k] & 0xFFFF_FFFF | (floats[2 * k + 1] & 0xFFFF_FFFF) << 32 for k in range(16)
            ]
        for number, value in enumerate(floats):
            state.fpr[number] = value
        state.hi = uc.reg_read(mips.UC_MIPS_REG_HI) & 0xFFFF_FFFF
        state.lo = uc.reg_read(mips.UC_MIPS_REG_LO) & 0xFFFF_FFFF
        state.pc = uc.reg_read(mips.UC_MIPS_REG_PC) & 0xFFFF_FFFF
        state.in_delay_slot = 0
        control = uc.reg_read(mips.UC_MIPS_REG_FCSR)
        state.fcsr = control & ~_CONDITION_BITS & 0xFFFF_FFFF
        state.fcc[0] = control >> 23 & 1
        for number in range(1, 8):
            state.fcc[number] = control >> (24 + number) & 1
