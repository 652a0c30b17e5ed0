"""Multiplication, division and the accumulator, HI and LO."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction


def _product_signed(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].sext(2 * cpu.xlen) * cpu.gpr[i.rt].sext(2 * cpu.xlen)


def _product_unsigned(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].zext(2 * cpu.xlen) * cpu.gpr[i.rt].zext(2 * cpu.xlen)


def _set(cpu: Cpu, product: Any) -> None:
    cpu.lo = product.trunc(cpu.xlen)
    cpu.hi = product.bits(cpu.xlen, cpu.xlen)


def _add(cpu: Cpu, product: Any) -> None:
    """In halves, so that a host needs no more than an addition with carry where HI and LO come one by one."""
    addend = product.trunc(cpu.xlen)
    low = cpu.lo + addend
    cpu.hi = cpu.hi + product.bits(cpu.xlen, cpu.xlen) + low.lt_unsigned(addend).zext(cpu.xlen)
    cpu.lo = low


def _subtract(cpu: Cpu, product: Any) -> None:
    subtrahend = product.trunc(cpu.xlen)
    borrow = cpu.lo.lt_unsigned(subtrahend).zext(cpu.xlen)
    cpu.hi = cpu.hi - product.bits(cpu.xlen, cpu.xlen) - borrow
    cpu.lo = cpu.lo - subtrahend


@instruction("mul", "011100 rs rt rd ..... 000010")
def mul(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] * cpu.gpr[i.rt]


@instruction("mult", "000000 rs rt ...00 ..... 011000")
def mult(cpu: Cpu, i: Any) -> None:
    _set(cpu, _product_signed(cpu, i))


@instruction("multu", "000000 rs rt ...00 ..... 011001")
def multu(cpu: Cpu, i: Any) -> None:
    _set(cpu, _product_unsigned(cpu, i))


@instruction("madd", "011100 rs rt ...00 ..... 000000")
def madd(cpu: Cpu, i: Any) -> None:
    _add(cpu, _product_signed(cpu, i))


@instruction("maddu", "011100 rs rt ...00 ..... 000001")
def maddu(cpu: Cpu, i: Any) -> None:
    _add(cpu, _product_unsigned(cpu, i))


@instruction("msub", "011100 rs rt ...00 ..... 000100")
def msub(cpu: Cpu, i: Any) -> None:
    _subtract(cpu, _product_signed(cpu, i))


@instruction("msubu", "011100 rs rt ...00 ..... 000101")
def msubu(cpu: Cpu, i: Any) -> None:
    _subtract(cpu, _product_unsigned(cpu, i))


@instruction("div", "000000 rs rt ..... ..... 011010")
def div(cpu: Cpu, i: Any) -> None:
    """Unpredictable results as QEMU gives them: n / 0 → LO n, HI 0; MIN / -1 → LO MIN, HI 0."""
    dividend, divisor = cpu.gpr[i.rs], cpu.gpr[i.rt]
    overflows = dividend.eq(1 << (cpu.xlen - 1)) & divisor.eq(-1)
    divisor = (divisor.eq(0) | overflows).select(cpu.constant(1), divisor)
    cpu.lo = dividend.divide_signed(divisor)
    cpu.hi = dividend.remainder_signed(divisor)


@instruction("divu", "000000 rs rt ..... ..... 011011")
def divu(cpu: Cpu, i: Any) -> None:
    """n / 0 → LO n, HI 0, as QEMU."""
    dividend, divisor = cpu.gpr[i.rs], cpu.gpr[i.rt]
    divisor = divisor.eq(0).select(cpu.constant(1), divisor)
    cpu.lo = dividend.divide_unsigned(divisor)
    cpu.hi = dividend.remainder_unsigned(divisor)


@instruction("mfhi", "000000 ...00 ..... rd ..... 010000")
def mfhi(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.hi


@instruction("mflo", "000000 ...00 ..... rd ..... 010010")
def mflo(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.lo


@instruction("mthi", "000000 rs ..... ...00 ..... 010001")
def mthi(cpu: Cpu, i: Any) -> None:
    cpu.hi = cpu.gpr[i.rs]


@instruction("mtlo", "000000 rs ..... ...00 ..... 010011")
def mtlo(cpu: Cpu, i: Any) -> None:
    cpu.lo = cpu.gpr[i.rs]
