"""Shifts and rotations."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction


@instruction("sll", "000000 ..... rt rd sa 000000")
def sll(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt] << i.sa


@instruction("srl", "000000 00000 rt rd sa 000010")
def srl(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].shift_right(i.sa)


@instruction("rotr", "000000 00001 rt rd sa 000010")
def rotr(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].rotate_right(i.sa)


@instruction("sra", "000000 ..... rt rd sa 000011")
def sra(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].shift_right_signed(i.sa)


@instruction("sllv", "000000 rs rt rd ..... 000100")
def sllv(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt] << (cpu.gpr[i.rs] & 31)


@instruction("srlv", "000000 rs rt rd 00000 000110")
def srlv(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].shift_right(cpu.gpr[i.rs] & 31)


@instruction("rotrv", "000000 rs rt rd 00001 000110")
def rotrv(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].rotate_right(cpu.gpr[i.rs] & 31)


@instruction("srav", "000000 rs rt rd ..... 000111")
def srav(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].shift_right_signed(cpu.gpr[i.rs] & 31)
