"""Coprocessor 0: moves to and from its registers, the TLB instructions, eret, wait, di and ei, cache, hypcall.

What an instruction changes beyond a register is done by a `SystemOperation`; when the mode, the address space or
the interrupts that are let through may have changed, it asks the CPU to `reconsider` before the next instruction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from translator.algebra import SystemCpu, SystemOperation
from translator.cp0_registers import CONFIG1_FP, CP0_REGISTERS, Cause, Cp0Register, Status
from translator.encoding import Flow, Remainder, privileged_instruction


def _write_status(cpu: SystemCpu, value: Any) -> None:
    has_fpu = (cpu.read("config1") & CONFIG1_FP).ne(0)
    cpu.write("status", has_fpu.select(value, value & ~(Status.CU1 | Status.FR)))
    cpu.reconsider()


def _write_cause(cpu: SystemCpu, value: Any) -> None:
    cpu.system_operation(SystemOperation.STOP_OR_START_COUNT, value)
    # Stopping Count may just have found that it had reached Compare.
    found = cpu.read("cause") & (Cause.TI | Cause.IP7)
    cpu.write("cause", value | found)
    cpu.reconsider()


def _write_entry_hi(cpu: SystemCpu, value: Any) -> None:
    cpu.write("entry_hi", value)
    cpu.reconsider()


def _write_wired(cpu: SystemCpu, value: Any) -> None:
    last = cpu.read("tlb_last")
    wired, most = value & last, cpu.read("wired_most")
    cpu.write("wired", wired)
    cpu.write("wired_most", most.lt_unsigned(wired).select(wired, most))
    cpu.write("random", last)


def _write_index(cpu: SystemCpu, value: Any) -> None:
    cpu.write("index", value & (cpu.read("tlb_last") | 1 << 31))


def _write_count(cpu: SystemCpu, value: Any) -> None:
    cpu.system_operation(SystemOperation.WRITE_COUNT, value)
    cpu.reconsider()


def _write_compare(cpu: SystemCpu, value: Any) -> None:
    cpu.system_operation(SystemOperation.WRITE_COMPARE, value)
    cpu.reconsider()


_WRITE: Final[dict[str, Callable[[SystemCpu, Any], None]]] = {
    "index": _write_index,
    "wired": _write_wired,
    "count": _write_count,
    "entry_hi": _write_entry_hi,
    "compare": _write_compare,
    "status": _write_status,
    "cause": _write_cause,
}
"""What writing a register does, where that is more than storing its writable bits."""


def _read_cause(cpu: SystemCpu) -> Any:
    cpu.system_operation(SystemOperation.UPDATE_TIMER)
    return cpu.read("cause")


def _read_random(cpu: SystemCpu) -> Any:
    cpu.write("random_read", cpu.constant(1, 32))
    return cpu.read("random")


_READ: Final[dict[str, Callable[[SystemCpu], Any]]] = {
    "count": lambda cpu: cpu.read_count(),
    "cause": _read_cause,
    "random": _read_random,
}


def read_register(cpu: SystemCpu, register: Cp0Register) -> Any:
    """What mfc0 gives, 32 bits."""
    read = _READ.get(register.name)
    return read(cpu) if read else cpu.read(register.field)


def write_register(cpu: SystemCpu, register: Cp0Register, value: Any) -> None:
    """What mtc0 does with 32 bits."""
    write = _WRITE.get(register.name)
    if write is None and not register.writable:
        return  # a region would keep what it is now, and store that over what an exception leaves there
    value = value & register.writable
    if register.name != "count":
        value = value | cpu.read(register.field) & ~register.writable
    if write:
        write(cpu, value)
    else:
        cpu.write(register.field, value)


def _define_register(register: Cp0Register) -> None:
    place = f"{register.number:05b} ........ {register.select:03b}"

    @privileged_instruction(f"mfc0.{register.name}", f"010000 00000 rt {place}")
    def move_from(cpu: SystemCpu, i: Any) -> None:
        cpu.require_coprocessor(0)
        cpu.gpr[i.rt] = read_register(cpu, register).sext(cpu.xlen)

    @privileged_instruction(f"mtc0.{register.name}", f"010000 00100 rt {place}")
    def move_to(cpu: SystemCpu, i: Any) -> None:
        cpu.require_coprocessor(0)
        write_register(cpu, register, cpu.gpr[i.rt].trunc(32))


for _register in CP0_REGISTERS:
    _define_register(_register)


_OTHER: Final = Remainder(("rd", "sel"), [(register.number, register.select) for register in CP0_REGISTERS])
"""The registers that CP0_REGISTERS lacks: they read 0 and ignore writes."""


@privileged_instruction("mfc0.other", "010000 00000 rt rd ........ sel", valid_if=_OTHER)
def move_from_other(cpu: SystemCpu, i: Any) -> None:
    cpu.require_coprocessor(0)
    cpu.gpr[i.rt] = cpu.constant(0)


@privileged_instruction("mtc0.other", "010000 00100 rt rd ........ sel", valid_if=_OTHER)
def move_to_other(cpu: SystemCpu, i: Any) -> None:
    cpu.require_coprocessor(0)


def _define_interrupt_enable(mnemonic: str, bit: int) -> None:
    @privileged_instruction(mnemonic, f"010000 01011 rt 01100 00000 {bit} 00000")
    def set_interrupt_enable(cpu: SystemCpu, i: Any) -> None:
        cpu.require_coprocessor(0)
        status = cpu.read("status")
        cpu.gpr[i.rt] = status.sext(cpu.xlen)
        cpu.write("status", status | Status.IE if bit else status & ~Status.IE)
        if bit:
            cpu.reconsider()


_define_interrupt_enable("di", 0)
_define_interrupt_enable("ei", 1)


@privileged_instruction("rdpgpr", "010000 01010 rt rd ...........")
def read_previous_gpr(cpu: SystemCpu, i: Any) -> None:
    """There is one register set, so the previous one is the current one."""
    cpu.require_coprocessor(0)
    cpu.gpr[i.rd] = cpu.gpr[i.rt]


@privileged_instruction("wrpgpr", "010000 01110 rt rd ...........")
def write_previous_gpr(cpu: SystemCpu, i: Any) -> None:
    cpu.require_coprocessor(0)
    cpu.gpr[i.rd] = cpu.gpr[i.rt]


def _define_tlb_instruction(mnemonic: str, function: str, operation: SystemOperation) -> None:
    @privileged_instruction(mnemonic, f"010000 1................... {function}")
    def tlb_instruction(cpu: SystemCpu, i: Any) -> None:
        cpu.require_coprocessor(0)
        cpu.system_operation(operation)
        cpu.reconsider()


_define_tlb_instruction("tlbr", "000001", SystemOperation.TLB_READ)
_define_tlb_instruction("tlbwi", "000010", SystemOperation.TLB_WRITE_INDEXED)
_define_tlb_instruction("tlbwr", "000110", SystemOperation.TLB_WRITE_RANDOM)
_define_tlb_instruction("tlbp", "001000", SystemOperation.TLB_PROBE)


@privileged_instruction("eret", "010000 1................... 011000", Flow.EXCEPTION)
def exception_return(cpu: SystemCpu, i: Any) -> None:
    cpu.require_coprocessor(0)
    cpu.return_from_exception()


@privileged_instruction("wait", "010000 1................... 100000")
def wait(cpu: SystemCpu, i: Any) -> None:
    """Ends when an unmasked interrupt is pending, even with interrupts disabled (Config7.WII)."""
    cpu.require_coprocessor(0)
    cpu.wait_for_interrupt()
    cpu.reconsider()


@privileged_instruction("hypcall", "010000 10000000000000000000 101000")
def monitor_call(cpu: SystemCpu, i: Any) -> None:
    cpu.require_coprocessor(0)
    cpu.call_monitor()


@privileged_instruction("cache.index", "101111 base 0 operation offset")
def cache_by_index(cpu: SystemCpu, i: Any) -> None:
    """Nothing to do: memory is coherent, and stores already invalidate the code they overwrite."""
    cpu.require_coprocessor(0)


@privileged_instruction("cache.hit", "101111 base 1 operation offset")
def cache_by_address(cpu: SystemCpu, i: Any) -> None:
    """The same, but the address is translated."""
    cpu.require_coprocessor(0)
    cpu.touch(cpu.gpr[i.base] + i.offset)
