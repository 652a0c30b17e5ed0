"""Arithmetic, logic, conditional moves and bit fields on general registers."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import BitRange, instruction
from translator.state import ExceptionCode


def _add_overflows(a: Any, b: Any, total: Any) -> Any:
    """Signed overflow of a + b = total: both operands differ in sign from the result."""
    return ((a ^ total) & (b ^ total)).lt_signed(0)


@instruction("add", "000000 rs rt rd ..... 100000")
def add(cpu: Cpu, i: Any) -> None:
    a, b = cpu.gpr[i.rs], cpu.gpr[i.rt]
    total = a + b
    cpu.trap_if(_add_overflows(a, b, total), ExceptionCode.OV)
    cpu.gpr[i.rd] = total


@instruction("addi", "001000 rs rt imm")
def addi(cpu: Cpu, i: Any) -> None:
    a, b = cpu.gpr[i.rs], i.imm
    total = a + b
    cpu.trap_if(_add_overflows(a, b, total), ExceptionCode.OV)
    cpu.gpr[i.rt] = total


@instruction("sub", "000000 rs rt rd ..... 100010")
def sub(cpu: Cpu, i: Any) -> None:
    a, b = cpu.gpr[i.rs], cpu.gpr[i.rt]
    difference = a - b
    cpu.trap_if(((a ^ b) & (a ^ difference)).lt_signed(0), ExceptionCode.OV)
    cpu.gpr[i.rd] = difference


@instruction("addu", "000000 rs rt rd ..... 100001")
def addu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] + cpu.gpr[i.rt]


@instruction("addiu", "001001 rs rt imm")
def addiu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs] + i.imm


@instruction("subu", "000000 rs rt rd ..... 100011")
def subu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] - cpu.gpr[i.rt]


@instruction("and", "000000 rs rt rd ..... 100100")
def and_(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] & cpu.gpr[i.rt]


@instruction("andi", "001100 rs rt uimm")
def andi(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs] & i.uimm


@instruction("or", "000000 rs rt rd ..... 100101")
def or_(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] | cpu.gpr[i.rt]


@instruction("ori", "001101 rs rt uimm")
def ori(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs] | i.uimm


@instruction("xor", "000000 rs rt rd ..... 100110")
def xor(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] ^ cpu.gpr[i.rt]


@instruction("xori", "001110 rs rt uimm")
def xori(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs] ^ i.uimm


@instruction("nor", "000000 rs rt rd ..... 100111")
def nor(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = ~(cpu.gpr[i.rs] | cpu.gpr[i.rt])


@instruction("lui", "001111 ..... rt imm")
def lui(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = i.imm << 16


@instruction("slt", "000000 rs rt rd ..... 101010")
def slt(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs].lt_signed(cpu.gpr[i.rt]).zext(cpu.xlen)


@instruction("slti", "001010 rs rt imm")
def slti(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs].lt_signed(i.imm).zext(cpu.xlen)


@instruction("sltu", "000000 rs rt rd ..... 101011")
def sltu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs].lt_unsigned(cpu.gpr[i.rt]).zext(cpu.xlen)


@instruction("sltiu", "001011 rs rt imm")
def sltiu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.gpr[i.rs].lt_unsigned(i.imm).zext(cpu.xlen)


@instruction("movn", "000000 rs rt rd ..... 001011")
def movn(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].ne(0).select(cpu.gpr[i.rs], cpu.gpr[i.rd])


@instruction("movz", "000000 rs rt rd ..... 001010")
def movz(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].eq(0).select(cpu.gpr[i.rs], cpu.gpr[i.rd])


@instruction("movf", "000000 rs cc .0 rd ..... 000001")
def movf(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.fcc[i.cc].select(cpu.gpr[i.rd], cpu.gpr[i.rs])


@instruction("movt", "000000 rs cc .1 rd ..... 000001")
def movt(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.fcc[i.cc].select(cpu.gpr[i.rs], cpu.gpr[i.rd])


@instruction("clz", "011100 rs rt rd ..... 100000")
def clz(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs].count_leading_zeros()


@instruction("clo", "011100 rs rt rd ..... 100001")
def clo(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = (~cpu.gpr[i.rs]).count_leading_zeros()


@instruction("seb", "011111 ..... rt rd 10000 100000")
def seb(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].trunc(8).sext(cpu.xlen)


@instruction("seh", "011111 ..... rt rd 11000 100000")
def seh(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].trunc(16).sext(cpu.xlen)


@instruction("wsbh", "011111 ..... rt rd 00010 100000")
def wsbh(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rt].byte_swap().rotate_right(16)


@instruction("ext", "011111 rs rt size lsb 000000", valid_if=BitRange.BY_SIZE)
def ext(cpu: Cpu, i: Any) -> None:
    """`size` holds the field's size - 1."""
    mask = cpu.constant(-1).shift_right((i.size ^ 31) & 31)
    cpu.gpr[i.rt] = cpu.gpr[i.rs].shift_right(i.lsb) & mask


@instruction("ins", "011111 rs rt msb lsb 000100", valid_if=BitRange.BY_END)
def ins(cpu: Cpu, i: Any) -> None:
    """`msb` holds the position of the field's most significant bit."""
    mask = cpu.constant(-1).shift_right(((i.msb - i.lsb) ^ 31) & 31) << i.lsb
    cpu.gpr[i.rt] = (cpu.gpr[i.rt] & ~mask) | ((cpu.gpr[i.rs] << i.lsb) & mask)
