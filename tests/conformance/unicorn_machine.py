"""Unicorn, which is QEMU's CPU emulation, as the reference `Machine`."""

from __future__ import annotations

from typing import Any

from unicorn import (
    UC_ARCH_MIPS,
    UC_HOOK_CODE,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MODE_32,
    UC_MODE_BIG_ENDIAN,
    UC_MODE_LITTLE_ENDIAN,
    UC_MODE_MIPS32,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn import mips_const as mips

from tests.conformance.machine import (
    CODE,
    CODE_SIZE,
    DATA,
    DATA_SIZE,
    READ_ONLY,
    READ_ONLY_SIZE,
    Outcome,
    Registers,
    Start,
)
from translator.decode import decode
from translator.encoding import Flow

QEMU_EXCEPTIONS = {
    12: "ADEL",
    13: "ADES",
    17: "SYS",
    18: "BP",
    19: "CPU",
    20: "RI",
    21: "OV",
    22: "TR",
    23: "FPE",
}
"""QEMU's internal exception numbers as the interrupt hook gives them."""
STATUS_FR = 1 << 26
_NEVER = 0x7FFF_FFF0
"""An address that no program reaches."""


class UnicornMachine:
    """A 24Kf in kernel mode with the FPU enabled, which user instructions cannot tell from user mode.

    The address of an exception comes from a trace of executed instructions, as Unicorn's pc has moved on by
    then. Instruction fetch faults crash Unicorn 2.1: not to be provoked.
    """

    name = "unicorn"

    def __init__(self, big_endian: bool, wide_fpu: bool) -> None:
        self.big_endian = big_endian
        self.wide_fpu = wide_fpu
        order = UC_MODE_BIG_ENDIAN if big_endian else UC_MODE_LITTLE_ENDIAN
        self._engine = engine = Uc(UC_ARCH_MIPS, UC_MODE_MIPS32 | UC_MODE_32 | order)
        engine.ctl_set_cpu_model(mips.UC_CPU_MIPS32_24KF)
        engine.mem_map(CODE, CODE_SIZE, UC_PROT_READ | UC_PROT_WRITE | UC_PROT_EXEC)
        engine.mem_map(DATA, DATA_SIZE, UC_PROT_READ | UC_PROT_WRITE)
        engine.mem_map(READ_ONLY, READ_ONLY_SIZE, UC_PROT_READ)
        engine.hook_add(UC_HOOK_CODE, self._on_instruction)
        engine.hook_add(UC_HOOK_INTR, self._on_exception)
        engine.hook_add(UC_HOOK_MEM_INVALID, self._on_fault)
        if wide_fpu:
            status = engine.reg_read(mips.UC_MIPS_REG_CP0_STATUS)
            engine.reg_write(mips.UC_MIPS_REG_CP0_STATUS, status | STATUS_FR)
        self._pristine = engine.context_save()
        self._trace: list[int] = []
        self._event = ""
        self._bad_address: int | None = None

    def _on_instruction(self, engine: Uc, address: int, size: int, data: Any) -> None:
        if (
            not self._event
        ):  # after a fault in one of the helpers for swl and swr, Unicorn goes on for a while
            self._trace.append(address)

    def _on_exception(self, engine: Uc, number: int, data: Any) -> None:
        self._event = f"exception {QEMU_EXCEPTIONS[number]}"
        engine.emu_stop()

    def _on_fault(self, engine: Uc, access: int, address: int, size: int, value: int, data: Any) -> bool:
        if not self._event:
            self._event = "fault"
            self._bad_address = address
        return False

    def execute(self, start: Start) -> Outcome:
        engine = self._engine
        engine.context_restore(self._pristine)
        code = start.code(self.big_endian)
        engine.mem_write(CODE, code)
        engine.ctl_remove_cache(CODE, CODE + CODE_SIZE)
        engine.mem_write(DATA, start.data)
        engine.mem_write(READ_ONLY, start.read_only)
        self._set(start.registers, start.user_local)
        self._trace, self._event, self._bad_address = [], "", None
        try:
            engine.emu_start(start.pc, _NEVER)
        except UcError:
            if not self._event:
                raise
        return self._outcome(start)

    def _set(self, registers: Registers, user_local: int) -> None:
        write = self._engine.reg_write
        for number in range(1, 32):
            write(mips.UC_MIPS_REG_0 + number, registers.gpr[number])
        write(mips.UC_MIPS_REG_HI, registers.hi)
        write(mips.UC_MIPS_REG_LO, registers.lo)
        for number, value in enumerate(registers.fpr):
            write(mips.UC_MIPS_REG_F0 + number, value)
        write(mips.UC_MIPS_REG_FCSR, registers.fcsr)
        write(mips.UC_MIPS_REG_CP0_USERLOCAL, user_local)

    def _outcome(self, start: Start) -> Outcome:
        read = self._engine.reg_read
        mask = 0xFFFF_FFFF_FFFF_FFFF if self.wide_fpu else 0xFFFF_FFFF
        registers = Registers(
            [read(mips.UC_MIPS_REG_0 + number) for number in range(32)],
            read(mips.UC_MIPS_REG_HI),
            read(mips.UC_MIPS_REG_LO),
            [read(mips.UC_MIPS_REG_F0 + number) & mask for number in range(32)],
            read(mips.UC_MIPS_REG_FCSR),
        )
        return Outcome(
            event=self._event,
            pc=self._trace[-1],
            in_delay_slot=self._last_is_delay_slot(),
            bad_address=self._bad_address,
            retired=len(self._trace) - 1 - self._nullified(),
            registers=registers,
            data=bytes(self._engine.mem_read(DATA, DATA_SIZE)),
        )

    def _flow(self, address: int) -> Flow:
        word = int.from_bytes(self._engine.mem_read(address, 4), "big" if self.big_endian else "little")
        instruction = decode(word)
        return instruction.flow if instruction is not None else Flow.EXCEPTION

    def _last_is_delay_slot(self) -> bool:
        if len(self._trace) < 2 or self._trace[-1] != self._trace[-2] + 4:
            return False
        return self._flow(self._trace[-2]).has_delay_slot

    def _nullified(self) -> int:
        """How many nullified delay slots are in the trace, which has them as if they were executed.

        A likely branch to the instruction behind its delay slot looks the same: programs must not have one.
        """
        return sum(
            self._flow(before) is Flow.BRANCH_LIKELY and (before + 4, slot + 4) == (slot, behind)
            for before, slot, behind in zip(self._trace, self._trace[1:], self._trace[2:], strict=False)
        )
