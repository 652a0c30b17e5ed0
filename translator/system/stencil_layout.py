"""The layout of the table of stencils: what `stencil_table` writes, `stencil_runs` reads.

Little endian: descriptors of the tail, of what does nothing, and of each encoding, in the order of the decode table's
records; the holes; the code.
"""

from __future__ import annotations

import struct
from typing import Final

from translator.predecode import OPERANDS

NO_OPERATION_NUMBER: Final = 1
FIRST_NUMBER: Final = 2
"""Number of the descriptor of the first encoding."""
DESCRIPTOR: Final = struct.Struct("<IHHI4x")
"""Where its code is, bytes of it (0: there is no such stencil), number of its holes, where they are …"""
CODE_AT, CODE_SIZE, HOLE_COUNT, HOLES_AT = 0, 4, 6, 8
"""… at these offsets."""
HOLE: Final = struct.Struct("<HHi")
"""Where in the code 32 bits are, the number of their source, what is added to that …"""
HOLE_AT, HOLE_SOURCE, HOLE_ADDEND = 0, 2, 4
"""… at these offsets."""
REGISTERS, SOURCES, OPERAND_BYTES = 0, OPERANDS, 2 * OPERANDS
"""First numbers of the sources that there are for each operand byte: `stencil_cpu` has their meanings."""
IMMEDIATE_SOURCE: Final = 3 * OPERANDS
DISTANCE_SOURCE: Final = IMMEDIATE_SOURCE + 1
"""How far the stencil is in front of the start of the arena."""
SOURCE_COUNT: Final = DISTANCE_SOURCE + 1
COPIED_AT_ONCE: Final = 16
"""Bytes; behind the code there are as many more."""
JUMP_OPCODE: Final = 0xE9
"""Of the host's jump over 32 bits of distance, from its end."""
JUMP_SIZE: Final = 5
