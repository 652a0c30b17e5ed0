"""rdhwr: each hardware register is an encoding of its own; the numbers not defined here are reserved."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction
from translator.state import ExceptionCode

SYNCI_STEP = 32
"""Bytes between synci instructions that cover a range: QEMU's 24Kf cache line."""
USER_LOCAL = 29
COUNT_RESOLUTION = 2
"""CPU cycles per tick of Count: 320 MHz / 160 MHz."""


def _require_enabled(cpu: Cpu, number: int) -> None:
    """User programs may read what HWREna lets them; under Linux that is everything."""
    if cpu.system:
        enabled = (cpu.read("hwr_enable") & 1 << number) | cpu.read("cp0_usable")
        cpu.trap_if(enabled.eq(0), ExceptionCode.RI)


@instruction("rdhwr.cpunum", "011111 ..... rt 00000 ..... 111011")
def cpu_number(cpu: Cpu, i: Any) -> None:
    _require_enabled(cpu, 0)
    cpu.gpr[i.rt] = cpu.constant(0)


@instruction("rdhwr.synci_step", "011111 ..... rt 00001 ..... 111011")
def synci_step(cpu: Cpu, i: Any) -> None:
    _require_enabled(cpu, 1)
    cpu.gpr[i.rt] = cpu.constant(SYNCI_STEP)


@instruction("rdhwr.cc", "011111 ..... rt 00010 ..... 111011")
def cycle_counter(cpu: Cpu, i: Any) -> None:
    _require_enabled(cpu, 2)
    cpu.gpr[i.rt] = cpu.read_count().sext(cpu.xlen)


@instruction("rdhwr.ccres", "011111 ..... rt 00011 ..... 111011")
def cycle_counter_resolution(cpu: Cpu, i: Any) -> None:
    _require_enabled(cpu, 3)
    cpu.gpr[i.rt] = cpu.constant(COUNT_RESOLUTION)


@instruction("rdhwr.userlocal", "011111 ..... rt 11101 ..... 111011")
def user_local(cpu: Cpu, i: Any) -> None:
    _require_enabled(cpu, USER_LOCAL)
    cpu.gpr[i.rt] = cpu.read("user_local").sext(cpu.xlen)
