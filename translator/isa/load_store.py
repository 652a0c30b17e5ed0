"""Loads and stores of general registers, the unaligned pairs, ll/sc, synchronisation and prefetch."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction


def _address(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.base] + i.offset


@instruction("lb", "100000 base rt offset")
def lb(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load(_address(cpu, i), 8).sext(cpu.xlen)


@instruction("lbu", "100100 base rt offset")
def lbu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load(_address(cpu, i), 8).zext(cpu.xlen)


@instruction("lh", "100001 base rt offset")
def lh(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load(_address(cpu, i), 16).sext(cpu.xlen)


@instruction("lhu", "100101 base rt offset")
def lhu(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load(_address(cpu, i), 16).zext(cpu.xlen)


@instruction("lw", "100011 base rt offset")
def lw(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load(_address(cpu, i), 32).sext(cpu.xlen)


@instruction("sb", "101000 base rt offset")
def sb(cpu: Cpu, i: Any) -> None:
    cpu.store(_address(cpu, i), cpu.gpr[i.rt].trunc(8))


@instruction("sh", "101001 base rt offset")
def sh(cpu: Cpu, i: Any) -> None:
    cpu.store(_address(cpu, i), cpu.gpr[i.rt].trunc(16))


@instruction("sw", "101011 base rt offset")
def sw(cpu: Cpu, i: Any) -> None:
    cpu.store(_address(cpu, i), cpu.gpr[i.rt].trunc(32))


def _bits_beside(cpu: Cpu, address: Any, left: bool) -> Any:
    """8 × the number of bytes of the aligned word that lwl (lwr) at `address` does not reach.

    MIPS64 manual vol. II, lwl: the "left" instructions work at the more significant end of the word. Little
    endian, address & 3 = n: lwl reaches n + 1 bytes, lwr 4 - n; big endian the other way round.
    """
    byte = address.trunc(32) & 3
    from_start = (byte ^ 3) if left != cpu.big_endian else byte
    return from_start << 3


@instruction("lwl", "100010 base rt offset")
def lwl(cpu: Cpu, i: Any) -> None:
    address = _address(cpu, i)
    shift = _bits_beside(cpu, address, left=True)
    cpu.report_faults_at(address)
    word = cpu.load(address & -4, 32)
    kept = cpu.gpr[i.rt].trunc(32) & ~(cpu.constant(-1, 32) << shift)
    cpu.gpr[i.rt] = (kept | (word << shift)).sext(cpu.xlen)


@instruction("lwr", "100110 base rt offset")
def lwr(cpu: Cpu, i: Any) -> None:
    address = _address(cpu, i)
    shift = _bits_beside(cpu, address, left=False)
    cpu.report_faults_at(address)
    word = cpu.load(address & -4, 32)
    kept = cpu.gpr[i.rt].trunc(32) & ~cpu.constant(-1, 32).shift_right(shift)
    cpu.gpr[i.rt] = (kept | word.shift_right(shift)).sext(cpu.xlen)


def _store_part(cpu: Cpu, i: Any, left: bool) -> None:
    """swl, swr: store only the bytes reached, as the others may belong to somebody else."""
    address = _address(cpu, i)
    value = cpu.gpr[i.rt].trunc(32)
    reached = (_bits_beside(cpu, address, left) ^ 24).shift_right(3)  # bytes reached - 1
    cpu.report_faults_at(address)
    towards_start = left != cpu.big_endian
    for k in range(4):
        byte = value.bits(24 - 8 * k, 8) if left else value.bits(8 * k, 8)
        where = address - k if towards_start else address + k
        cpu.store_if(cpu.constant(k, 32).le_unsigned(reached), where, byte)


@instruction("swl", "101010 base rt offset")
def swl(cpu: Cpu, i: Any) -> None:
    _store_part(cpu, i, left=True)


@instruction("swr", "101110 base rt offset")
def swr(cpu: Cpu, i: Any) -> None:
    _store_part(cpu, i, left=False)


@instruction("ll", "110000 base rt offset")
def ll(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.load_linked(_address(cpu, i)).sext(cpu.xlen)


@instruction("sc", "111000 base rt offset")
def sc(cpu: Cpu, i: Any) -> None:
    done = cpu.store_conditional(_address(cpu, i), cpu.gpr[i.rt].trunc(32))
    cpu.gpr[i.rt] = done.zext(cpu.xlen)


@instruction("sync", "000000 ............... stype 001111")
def sync(cpu: Cpu, i: Any) -> None:
    """Nothing to do: a vCPU sees its own accesses in order (several host threads will need a fence)."""


@instruction("synci", "000001 base 11111 offset")
def synci(cpu: Cpu, i: Any) -> None:
    """Only the address matters: stores already invalidate the code they overwrite."""
    cpu.touch(_address(cpu, i))


@instruction("pref", "110011 base hint offset")
def pref(cpu: Cpu, i: Any) -> None:
    """A hint only; it never faults."""


@instruction("prefx", "010011 base rt hint 00000 001111")
def prefx(cpu: Cpu, i: Any) -> None:
    """A hint only; it never faults."""
