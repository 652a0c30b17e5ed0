"""Which instructions need coprocessor 1: Coprocessor Unusable comes before everything else they might raise."""

from __future__ import annotations

from typing import Final

from translator.encoding import Encoding

_FLOAT_OPCODES: Final = frozenset({0o21, 0o23, 0o61, 0o65, 0o71, 0o75})
"""COP1, COP1X, lwc1, ldc1, swc1, sdc1."""
MISSING_COPROCESSOR: Final = 2
"""Never usable, whatever Status says."""
_MOVE_CONDITIONAL: Final = 1
"""Function of SPECIAL: movf and movt."""


def needs_coprocessor_1(encoding: Encoding) -> bool:
    """Whether `encoding` is an instruction of the FPU, or one that reads its condition codes."""
    opcode = encoding.match >> 26
    return opcode in _FLOAT_OPCODES or (opcode == 0 and encoding.match & 63 == _MOVE_CONDITIONAL)


def coprocessor_of_reserved(word: int) -> int | None:
    """The coprocessor whose function an undecodable word would be; None if it is no coprocessor's."""
    opcode = word >> 26
    if opcode == 0o20:
        return 0
    if opcode in (0o21, 0o23):
        return 1
    if opcode in (0o22, 0o62, 0o66, 0o72, 0o76):
        return MISSING_COPROCESSOR
    return None
