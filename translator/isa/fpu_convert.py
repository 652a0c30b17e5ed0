"""Conversions between the formats S, D, W and L."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction
from translator.isa.fpu_registers import FORMAT_CODE, registers

_FUNCTION = {
    "cvt.s": "100000",
    "cvt.d": "100001",
    "cvt.w": "100100",
    "cvt.l": "100101",
    "round.l": "001000",
    "trunc.l": "001001",
    "ceil.l": "001010",
    "floor.l": "001011",
    "round.w": "001100",
    "trunc.w": "001101",
    "ceil.w": "001110",
    "floor.w": "001111",
}
_SOURCES = {"s": "dwl", "d": "swl", "w": "sd", "l": "sd"}
"""Destination format → the formats that convert to it."""


def _define_conversion(name: str, source: str) -> None:
    operation, destination = name.split(".")

    @instruction(f"{name}.{source}", f"010001 {FORMAT_CODE[source]} ..... fs fd {_FUNCTION[name]}")
    def semantics(cpu: Cpu, i: Any) -> None:
        converted = cpu.float_convert(operation, destination, source, registers(cpu, source)[i.fs])
        registers(cpu, destination)[i.fd] = converted


for _name in _FUNCTION:
    for _source in _SOURCES[_name[-1]]:
        _define_conversion(_name, _source)
