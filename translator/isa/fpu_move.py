"""Moves between FPU registers, conditional or not, and between FPU and general registers."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction
from translator.isa.fpu_registers import FORMAT_CODE, registers


def _define_moves(kind: str) -> None:
    code = FORMAT_CODE[kind]

    @instruction(f"mov.{kind}", f"010001 {code} ..... fs fd 000110")
    def move(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = fpr[i.fs]

    @instruction(f"movf.{kind}", f"010001 {code} cc .0 fs fd 010001")
    def move_if_false(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.fcc[i.cc].select(fpr[i.fd], fpr[i.fs])

    @instruction(f"movt.{kind}", f"010001 {code} cc .1 fs fd 010001")
    def move_if_true(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.fcc[i.cc].select(fpr[i.fs], fpr[i.fd])

    @instruction(f"movz.{kind}", f"010001 {code} rt fs fd 010010")
    def move_if_zero(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.gpr[i.rt].eq(0).select(fpr[i.fs], fpr[i.fd])

    @instruction(f"movn.{kind}", f"010001 {code} rt fs fd 010011")
    def move_if_not_zero(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.gpr[i.rt].ne(0).select(fpr[i.fs], fpr[i.fd])


for _kind in "sd":
    _define_moves(_kind)


@instruction("mfc1", "010001 00000 rt fs ..... ......")
def mfc1(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.fpr32[i.fs].sext(cpu.xlen)


@instruction("mtc1", "010001 00100 rt fs ..... ......")
def mtc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr32[i.fs] = cpu.gpr[i.rt].trunc(32)


@instruction("mfhc1", "010001 00011 rt fs ..... ......")
def mfhc1(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.fpr_high[i.fs].sext(cpu.xlen)


@instruction("mthc1", "010001 00111 rt fs ..... ......")
def mthc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr_high[i.fs] = cpu.gpr[i.rt].trunc(32)
