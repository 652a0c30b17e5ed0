"""cfc1 and ctc1: each control register is an encoding of its own.

Numbers that the manual leaves undefined behave as in QEMU: cfc1 reads FCSR, ctc1 does nothing.
FCCR, FEXR and FENR are partial views of FCSR. A ctc1 to a view is ignored if the value has bits set that QEMU
knows not to belong to the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translator.algebra import Cpu
from translator.encoding import Remainder, instruction
from translator.fcsr import (
    CONDITION_BITS,
    CONDITIONS_MASK,
    FENR_FLUSH_BIT,
    FENR_MASK,
    FEXR_MASK,
    FLUSH_BIT,
)

_FIR, _UFR, _FRE, _FCCR, _FEXR, _FENR, _FCSR = 0, 1, 5, 25, 26, 28, 31
_RESERVED_IN_VIEWS = 0x007C_0000
"""Bits that must be 0 in a value for FEXR or FENR."""
_FIRST_UPPER_CONDITION = CONDITION_BITS[1] - 1
"""FCCR bits 1 … 7 stand so much further left in FCSR; bit 0 stands in a bit of its own."""


def _control_register(number: int) -> str:
    """The part of the pattern that follows rt."""
    return f"{number:05b} ..... ......"


def _define_read(name: str, number: int, view: Callable[[Cpu], Any]) -> None:
    @instruction(f"cfc1.{name}", f"010001 00010 rt {_control_register(number)}")
    def semantics(cpu: Cpu, i: Any) -> None:
        cpu.gpr[i.rt] = view(cpu).sext(cpu.xlen)


def _read_fccr(cpu: Cpu) -> Any:
    fcsr = cpu.read_fcsr()
    return (fcsr.shift_right(_FIRST_UPPER_CONDITION) & 0xFE) | (fcsr.shift_right(CONDITION_BITS[0]) & 1)


def _read_fenr(cpu: Cpu) -> Any:
    fcsr = cpu.read_fcsr()
    flush = fcsr.shift_right(FLUSH_BIT - FENR_FLUSH_BIT) & 1 << FENR_FLUSH_BIT
    return (fcsr & FENR_MASK) | flush


_define_read("fir", _FIR, lambda cpu: cpu.read("fir"))
_define_read("ufr", _UFR, lambda cpu: cpu.constant(0, 32))
_define_read("fre", _FRE, lambda cpu: cpu.constant(0, 32))
_define_read("fccr", _FCCR, _read_fccr)
_define_read("fexr", _FEXR, lambda cpu: cpu.read_fcsr() & FEXR_MASK)
_define_read("fenr", _FENR, _read_fenr)


@instruction(
    "cfc1.fcsr",
    "010001 00010 rt control ..... ......",
    valid_if=Remainder(("control",), [(number,) for number in (_FIR, _UFR, _FRE, _FCCR, _FEXR, _FENR)]),
)
def read_fcsr(cpu: Cpu, i: Any) -> None:
    cpu.gpr[i.rt] = cpu.read_fcsr().sext(cpu.xlen)


@instruction("ctc1.fcsr", f"010001 00110 rt {_control_register(_FCSR)}")
def write_fcsr(cpu: Cpu, i: Any) -> None:
    cpu.write_fcsr(cpu.gpr[i.rt].trunc(32))


def _write_view(cpu: Cpu, valid: Any, kept_mask: int, changed: Any) -> None:
    fcsr = cpu.read_fcsr()
    cpu.write_fcsr(valid.select((fcsr & kept_mask) | changed, fcsr))


@instruction("ctc1.fccr", f"010001 00110 rt {_control_register(_FCCR)}")
def write_fccr(cpu: Cpu, i: Any) -> None:
    value = cpu.gpr[i.rt].trunc(32)
    conditions = ((value & 0xFE) << _FIRST_UPPER_CONDITION) | ((value & 1) << CONDITION_BITS[0])
    _write_view(cpu, value.lt_unsigned(0x100), ~CONDITIONS_MASK, conditions)


@instruction("ctc1.fexr", f"010001 00110 rt {_control_register(_FEXR)}")
def write_fexr(cpu: Cpu, i: Any) -> None:
    value = cpu.gpr[i.rt].trunc(32)
    _write_view(cpu, (value & _RESERVED_IN_VIEWS).eq(0), ~FEXR_MASK, value & FEXR_MASK)


@instruction("ctc1.fenr", f"010001 00110 rt {_control_register(_FENR)}")
def write_fenr(cpu: Cpu, i: Any) -> None:
    value = cpu.gpr[i.rt].trunc(32)
    flush = (value & 1 << FENR_FLUSH_BIT) << (FLUSH_BIT - FENR_FLUSH_BIT)
    kept = ~(FENR_MASK | 1 << FLUSH_BIT)
    _write_view(cpu, (value & _RESERVED_IN_VIEWS).eq(0), kept, (value & FENR_MASK) | flush)


@instruction(
    "ctc1.ignored",
    "010001 00110 rt control ..... ......",
    valid_if=Remainder(("control",), [(number,) for number in (_FCCR, _FEXR, _FENR, _FCSR)]),
)
def write_nothing(cpu: Cpu, i: Any) -> None:
    """Read only, or not there."""
