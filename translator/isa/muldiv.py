"""Multiplication, division and the HI/LO accumulator."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction


def _product_signed(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].sext(2 * cpu.xlen) * cpu.gpr[i.rt].sext(2 * cpu.xlen)


def _product_unsigned(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].zext(2 * cpu.xlen) * cpu.gpr[i.rt].zext(2 * cpu.xlen)


def _accumulator_of(cpu: Cpu, high: Any, low: Any) -> Any:
    return (high.zext(2 * cpu.xlen) << cpu.xlen) | low.zext(2 * cpu.xlen)


@instruction("mul", "011100 rs rt rd ..... 000010")
def mul(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.gpr[i.rs] * cpu.gpr[i.rt]


@instruction("mult", "000000 rs rt ...00 ..... 011000")
def mult(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = _product_signed(cpu, i)


@instruction("multu", "000000 rs rt ...00 ..... 011001")
def multu(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = _product_unsigned(cpu, i)


@instruction("madd", "011100 rs rt ...00 ..... 000000")
def madd(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = cpu.accumulator + _product_signed(cpu, i)


@instruction("maddu", "011100 rs rt ...00 ..... 000001")
def maddu(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = cpu.accumulator + _product_unsigned(cpu, i)


@instruction("msub", "011100 rs rt ...00 ..... 000100")
def msub(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = cpu.accumulator - _product_signed(cpu, i)


@instruction("msubu", "011100 rs rt ...00 ..... 000101")
def msubu(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = cpu.accumulator - _product_unsigned(cpu, i)


@instruction("div", "000000 rs rt ..... ..... 011010")
def div(cpu: Cpu, i: Any) -> None:
    """Unpredictable results as QEMU gives them: n / 0 → LO n, HI 0; MIN / -1 → LO MIN, HI 0."""
    dividend, divisor = cpu.gpr[i.rs], cpu.gpr[i.rt]
    overflows = dividend.eq(1 << (cpu.xlen - 1)) & divisor.eq(-1)
    divisor = (divisor.eq(0) | overflows).select(cpu.constant(1), divisor)
    cpu.accumulator = _accumulator_of(
        cpu, dividend.remainder_signed(divisor), dividend.divide_signed(divisor)
    )


@instruction("divu", "000000 rs rt ..... ..... 011011")
def divu(cpu: Cpu, i: Any) -> None:
    """n / 0 → LO n, HI 0, as QEMU."""
    dividend, divisor = cpu.gpr[i.rs], cpu.gpr[i.rt]
    divisor = divisor.eq(0).select(cpu.constant(1), divisor)
    cpu.accumulator = _accumulator_of(
        cpu, dividend.remainder_unsigned(divisor), dividend.divide_unsigned(divisor)
    )


@instruction("mfhi", "000000 ...00 ..... rd ..... 010000")
def mfhi(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.accumulator.bits(cpu.xlen, cpu.xlen)


@instruction("mflo", "000000 ...00 ..... rd ..... 010010")
def mflo(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rd] = cpu.accumulator.trunc(cpu.xlen)


@instruction("mthi", "000000 rs ..... ...00 ..... 010001")
def mthi(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = _accumulator_of(cpu, cpu.gpr[i.rs], cpu.accumulator.trunc(cpu.xlen))


@instruction("mtlo", "000000 rs ..... ...00 ..... 010011")
def mtlo(cpu: Cpu, i: Any) -> None:
    cpu.accumulator = _accumulator_of(cpu, cpu.accumulator.bits(cpu.xlen, cpu.xlen), cpu.gpr[i.rs])
