"""System calls of the host, made by native code itself."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from translator.host_memory_flags import MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE
from translator.ir import IrValue
from translator.system.routine import Routine


class HostCall(IntEnum):
    """Numbers of x86-64 Linux."""

    WRITE = 1
    MMAP = 9
    MPROTECT = 10
    MADVISE = 28


MAP_NOTHING: Final = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
"""Instead of whatever is there."""

_REGISTERS: Final = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


def host_call(r: Routine, call: HostCall, *arguments: IrValue | int) -> IrValue:
    """Make a call; its result, 64 bits: what it gives, or an error number less than 0."""
    registers = _REGISTERS[: len(arguments)]
    taken = "".join(f",{{{register}}}" for register in registers)
    typed = [f"i64 {argument if isinstance(argument, int) else argument.name}" for argument in arguments]
    constraints = f"={{rax}},{{rax}}{taken},~{{rcx}},~{{r11}},~{{memory}}"
    operands = ", ".join([f"i64 {int(call)}", *typed])
    return r.value("result", f'call i64 asm sideeffect "syscall", "{constraints}"({operands})', 64)
