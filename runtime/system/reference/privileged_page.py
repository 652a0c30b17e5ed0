"""The privileged-register page: register (r, sel) of coprocessor 0 at offset 32 * r + 4 * sel (DESIGN section 6)."""

from __future__ import annotations

from typing import Any, Final

from translator.algebra import SystemCpu
from translator.cp0_registers import CP0_REGISTERS
from translator.isa.coprocessor0 import read_register, write_register

_BY_OFFSET: Final = {32 * register.number + 4 * register.select: register for register in CP0_REGISTERS}


def load(cpu: SystemCpu, offset: int) -> Any:
    """What mfc0 reads; 0 if there is no register."""
    register = _BY_OFFSET.get(offset)
    return cpu.constant(0, 32) if register is None else read_register(cpu, register)


def store(cpu: SystemCpu, offset: int, value: Any) -> None:
    """What mtc0 does; nothing if there is no register."""
    register = _BY_OFFSET.get(offset)
    if register is not None:
        write_register(cpu, register, value)
