"""Accesses of a block that share one look at the tables.

Accesses through the same base register, with no change of it in between and close to each other, are on the same page
mostly. The first one checks that for all of them, and their alignment; the others need no check of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from translator.dataflow import dataflow
from translator.decode import Instruction
from translator.region import Block

ACCESS_SIZE: Final = {
    "lb": 1, "lbu": 1, "sb": 1,
    "lh": 2, "lhu": 2, "sh": 2,
    "lw": 4, "sw": 4, "lwc1": 4, "swc1": 4,
    "ldc1": 8, "sdc1": 8,
}  # fmt: skip
"""Of the loads and stores at base + offset."""
_STORES: Final = frozenset({"sb", "sh", "sw", "swc1", "sdc1"})
WIDEST: Final = 256
"""Bytes between the first and the last byte of a group: the wider, the likelier it straddles two pages."""


@dataclass
class AccessGroup:
    """Some accesses at base + low … base + high."""

    base: int
    low: int
    high: int
    """One more than the last byte's offset."""
    size: int
    """Of the widest access …"""
    anchor: int
    """… and its offset: if that is aligned, all are."""
    stores: bool
    """Whether one of them is a store: then all go through the table for stores."""
    count: int = 1
    is_uniform: bool = True
    """Whether it has one access only, so that a wider one may become its anchor."""
    host: str | None = None
    """The host address of base + low, once the first access has been checked."""
    is_aligned: bool = False
    """Whether the alignment has been checked, in regions with windows."""


def access_groups(block: Block) -> dict[int, tuple[AccessGroup, int]]:
    """Address of each groupable access → its group and its offset."""
    found: dict[int, tuple[AccessGroup, int]] = {}
    open_groups: dict[int, AccessGroup] = {}
    for pc, instruction in block.instructions():
        size = ACCESS_SIZE.get(instruction.mnemonic)
        if size is not None:
            found[pc] = _join(open_groups, instruction, size), instruction.offset
        for register in written_registers(instruction):
            open_groups.pop(register, None)
    return found


def _join(groups: dict[int, AccessGroup], instruction: Instruction, size: int) -> AccessGroup:
    base, offset = instruction.base, instruction.offset
    stores = instruction.mnemonic in _STORES
    group = groups.get(base)
    if group is not None:
        low, high = min(group.low, offset), max(group.high, offset + size)
        if (
            high - low <= WIDEST
            and (offset - group.anchor) % min(size, group.size) == 0
            and (size <= group.size or group.is_uniform)
        ):
            group.low, group.high = low, high
            if size > group.size:
                group.size, group.anchor = size, offset
            group.stores |= stores
            group.count += 1
            group.is_uniform = False
            return group
    group = groups[base] = AccessGroup(base, offset, offset + size, size, offset, stores)
    return group


def written_registers(instruction: Instruction) -> list[int]:
    """General registers that the instruction may change."""
    registers = []
    for at in dataflow(instruction.encoding).writes:
        if at.file == "gpr":
            number = at.register if isinstance(at.register, int) else instruction.field(str(at.register))
            registers.append(number)
    return registers
