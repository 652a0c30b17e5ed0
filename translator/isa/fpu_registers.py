"""How FPU instructions name number formats, and which registers hold them."""

from __future__ import annotations

from typing import Final

from translator.algebra import Cpu, RegisterFile

FORMAT_CODE: Final = {"s": "10000", "d": "10001", "w": "10100", "l": "10101"}
"""The fmt field of COP1 instructions."""


def registers(cpu: Cpu, kind: str) -> RegisterFile:
    """The register file that holds values of the format `kind`."""
    return cpu.fpr32 if kind in "sw" else cpu.fpr64
