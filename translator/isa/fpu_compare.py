"""c.cond.fmt. Bit 0 of the condition asks for unordered, 1 equal, 2 less; 3 makes every NaN invalid."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction
from translator.isa.fpu_registers import FORMAT_CODE, registers

CONDITIONS = (
    "f", "un", "eq", "ueq", "olt", "ult", "ole", "ule",
    "sf", "ngle", "seq", "ngl", "lt", "nge", "le", "ngt",
)  # fmt: skip


def _define_compare(condition: int, name: str, kind: str) -> None:
    @instruction(f"c.{name}.{kind}", f"010001 {FORMAT_CODE[kind]} ft fs cc .0 11 {condition:04b}")
    def semantics(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        cpu.fcc[i.cc] = cpu.float_compare(condition, kind, fpr[i.fs], fpr[i.ft])


for _kind in "sd":
    for _condition, _name in enumerate(CONDITIONS):
        _define_compare(_condition, _name, _kind)
