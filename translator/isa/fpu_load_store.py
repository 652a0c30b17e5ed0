"""Loads and stores of FPU registers. COP1X's indexed forms name the index register `rt`."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction


def _displaced(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.base] + i.offset


def _indexed(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.base] + cpu.gpr[i.rt]


@instruction("lwc1", "110001 base ft offset")
def lwc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr32[i.ft] = cpu.load(_displaced(cpu, i), 32)


@instruction("swc1", "111001 base ft offset")
def swc1(cpu: Cpu, i: Any) -> None:
    cpu.store(_displaced(cpu, i), cpu.fpr32[i.ft])


@instruction("ldc1", "110101 base ft offset")
def ldc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr64[i.ft] = cpu.load(_displaced(cpu, i), 64)


@instruction("sdc1", "111101 base ft offset")
def sdc1(cpu: Cpu, i: Any) -> None:
    cpu.store(_displaced(cpu, i), cpu.fpr64[i.ft])


@instruction("lwxc1", "010011 base rt ..... fd 000000")
def lwxc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr32[i.fd] = cpu.load(_indexed(cpu, i), 32)


@instruction("swxc1", "010011 base rt fs ..... 001000")
def swxc1(cpu: Cpu, i: Any) -> None:
    cpu.store(_indexed(cpu, i), cpu.fpr32[i.fs])


@instruction("ldxc1", "010011 base rt ..... fd 000001")
def ldxc1(cpu: Cpu, i: Any) -> None:
    cpu.fpr64[i.fd] = cpu.load(_indexed(cpu, i), 64)


@instruction("sdxc1", "010011 base rt fs ..... 001001")
def sdxc1(cpu: Cpu, i: Any) -> None:
    cpu.store(_indexed(cpu, i), cpu.fpr64[i.fs])


@instruction("luxc1", "010011 base rt ..... fd 000101")
def luxc1(cpu: Cpu, i: Any) -> None:
    """The address is aligned by ignoring its low bits."""
    cpu.fpr64[i.fd] = cpu.load(_indexed(cpu, i) & -8, 64)


@instruction("suxc1", "010011 base rt fs ..... 001101")
def suxc1(cpu: Cpu, i: Any) -> None:
    """The address is aligned by ignoring its low bits."""
    cpu.store(_indexed(cpu, i) & -8, cpu.fpr64[i.fs])
