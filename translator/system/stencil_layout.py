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
"""Where its code is, bytes of it (0: there is no such stencil), number of its holes, where they are."""
HOLE: Final = struct.Struct("<HHi")
"""Where in the code 32 bits are, the number of their source, what is added to that."""
REGISTERS, SOURCES, OPERAND_BYTES = 0, OPERANDS, 2 * OPERANDS
"""First numbers of the sources that there are for each operand byte: `stencil_cpu` has their meanings."""
IMMEDIATE_SOURCE: Final = 3 * OPERANDS
DISTANCE_SOURCE: Final = IMMEDIATE_SOURCE + 1
"""How far the stencil is in front of the start of the arena."""
SOURCE_COUNT: Final = DISTANCE_SOURCE + 1
COPIED_AT_ONCE: Final = 16
"""Bytes; behind the code there are as many more."""
