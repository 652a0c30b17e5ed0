"""System call, breakpoint and conditional traps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translator.algebra import Cpu
from translator.encoding import Flow, instruction
from translator.state import ExceptionCode


@instruction("syscall", "000000 code20 001100", Flow.EXCEPTION)
def syscall(cpu: Cpu, i: Any) -> None:
    cpu.raise_exception(ExceptionCode.SYS)


@instruction("break", "000000 code20 001101", Flow.EXCEPTION)
def break_(cpu: Cpu, i: Any) -> None:
    cpu.raise_exception(ExceptionCode.BP)


def _define_trap(
    mnemonic: str, function: str, regimm: str | None, condition: Callable[[Any, Any], Any]
) -> None:
    @instruction(mnemonic, f"000000 rs rt code10 {function}")
    def trap(cpu: Cpu, i: Any) -> None:
        cpu.trap_if(condition(cpu.gpr[i.rs], cpu.gpr[i.rt]), ExceptionCode.TR)

    if regimm is None:
        return
    immediate_mnemonic = f"{mnemonic[:-1]}iu" if mnemonic.endswith("u") else f"{mnemonic}i"

    @instruction(immediate_mnemonic, f"000001 rs {regimm} imm")
    def trap_immediate(cpu: Cpu, i: Any) -> None:
        cpu.trap_if(condition(cpu.gpr[i.rs], i.imm), ExceptionCode.TR)


_define_trap("tge", "110000", "01000", lambda a, b: b.le_signed(a))
_define_trap("tgeu", "110001", "01001", lambda a, b: b.le_unsigned(a))
_define_trap("tlt", "110010", "01010", lambda a, b: a.lt_signed(b))
_define_trap("tltu", "110011", "01011", lambda a, b: a.lt_unsigned(b))
_define_trap("teq", "110100", "01100", lambda a, b: a.eq(b))
_define_trap("tne", "110110", "01110", lambda a, b: a.ne(b))
