"""Predecoded entries: what tier 0 executes, 16 bytes for each guest instruction.

The entry of guest address A stands at `entries_base + 4 * A`, so that entries follow each other like the
instructions and a jump needs one addition. An entry that is all zero has not been decoded: handler offset 0 is
the handler that decodes.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from translator.dataflow import dataflow, gpr_destination
from translator.encoding import Encoding, Flow
from translator.isa.hardware_register import COUNT_RESOLUTION
from translator.state import GPR_SINK

ENTRY_SIZE: Final = 16
CLOCK_PER_COUNT: Final = COUNT_RESOLUTION * ENTRY_SIZE
"""An instruction stands for one cycle, and advances the clock by the size of its entry."""
HANDLER_OFFSET: Final = 0
"""u32: the handler's distance from handlers_base."""
OPERANDS_OFFSET: Final = 4
"""4 x u8: the five-bit fields of the word from bits 21, 16, 11, 6 (or the cc field that lies there)."""
IMMEDIATE_OFFSET: Final = 8
"""i32: imm, uimm or offset; of a branch: entry distance to its target; of j and jal: index << 2."""
COUNTER_OFFSET: Final = 12
"""u32: how often a taken branch came here. In a register jump's delay slot, where no branch goes: the address
that the jump last went to."""
LAST_TARGET_OFFSET: Final = ENTRY_SIZE + COUNTER_OFFSET
"""From the entry of a register jump to where it notes its target."""

HOT_THRESHOLD: Final = 2000
"""Taken branches to an address before it is reported as hot."""

ELSEWHERE_SHIFT: Final = 17
"""An entry whose regions are all for other pages gets hot again each time this bit of its counter changes."""
SYSTEM_WARM_SHIFT: Final = 16
"""In virtual machines, an address is reported whenever a multiple of 1 << SYSTEM_WARM_SHIFT taken branches have gone
there: the first time, a region of an earlier run may be had for it …"""
SYSTEM_HOT_THRESHOLD: Final = 3 << SYSTEM_WARM_SHIFT
"""… and now, one is to be compiled. Their regions take longer to compile than user programs', and little of their code
is ever hot: compiling what a boot passes through would cost more than interpreting it."""
SYSTEM_HOTTER_THRESHOLD: Final = 4 * SYSTEM_HOT_THRESHOLD
"""The same for code that virtual machines have run before and not made hot: the next one should not find that it has
passed a threshold by a little where they have not."""
COUNTER_PARKED: Final = 1 << 31
"""In a counter of a virtual machine: there is a region, or will be; the address is not reported any more."""
SYSTEM_REPORT_MASK: Final = COUNTER_PARKED | (1 << SYSTEM_WARM_SHIFT) - 1
"""Bits of a counter that are 0 where the address is reported."""

DECODABLE_PAGE: Final = 4 | 8
"""EXEC and CODE of AddressSpace.page_flags: executable, and protected against unseen stores."""
DECODE_CACHE_BITS: Final = 18
DECODE_HASH_MULTIPLIER: Final = 0x9E37_79B1
"""Of the hash of decoded words (`runtime.decoded_words`)."""

_ENTRY: Final = struct.Struct("<I4BiI")
_FLOAT_FIELDS: Final = frozenset({"fs", "ft", "fd", "fr"})
OPERANDS: Final = 4


def handler_symbol(mnemonic: str) -> str:
    """The symbol of a mnemonic's handler: dots are not for symbols."""
    return "handle_" + mnemonic.replace(".", "_")


def coprocessor_unusable_symbol(coprocessor: int) -> str:
    """The symbol of the handler that raises Coprocessor Unusable for `coprocessor`."""
    return f"coprocessor_{coprocessor}_unusable"


def reserved_in_coprocessor_symbol(coprocessor: int) -> str:
    """The symbol of the handler of what is no instruction of `coprocessor`."""
    return f"coprocessor_{coprocessor}_reserved"


def operand_index(shift: int) -> int:
    """Which operand byte holds the field at bit `shift`: cc fields lie two bits above 16 or 6."""
    return {21: 0, 18: 1, 16: 1, 11: 2, 8: 3, 6: 3}[shift]


class Immediate(IntEnum):
    """What stands in an entry's immediate."""

    NONE = 0
    SIGNED = 1
    """The low half of the word, sign-extended."""
    UNSIGNED = 2
    BRANCH = 3
    """Entry distance to the branch target."""
    INDEX = 4
    """The low 26 bits, times four."""


class OperandByte(NamedTuple):
    """How an operand byte comes from the word: (word >> shift & mask) * scale, or `if_zero` if that is 0."""

    shift: int = 0
    mask: int = 0
    scale: int = 0
    if_zero: int = 0


class Packing(NamedTuple):
    """How the entry of an instruction comes from its word."""

    operands: tuple[OperandByte, ...]
    immediate: Immediate


@cache
def packing(encoding: Encoding, fpr_scale: int) -> Packing:
    """Of the instances of `encoding`; `fpr_scale` is 1 with FR=0, 2 with FR=1 (register number → word index)."""
    operands = [OperandByte()] * OPERANDS
    immediate = Immediate.NONE
    pairs = dataflow(encoding).register_fields("fpr64") if fpr_scale == 1 else frozenset()
    destination = gpr_destination(encoding)
    for name, (shift, width) in encoding.fields.items():
        if name in ("imm", "uimm"):
            immediate = Immediate.SIGNED if name == "imm" else Immediate.UNSIGNED
        elif name == "offset":
            is_branch = encoding.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY)
            immediate = Immediate.BRANCH if is_branch else Immediate.SIGNED
        elif name == "index":
            immediate = Immediate.INDEX
        elif shift in (21, 18, 16, 11, 8, 6) and not name.startswith("code"):
            mask = (1 << width) - 1
            if name in pairs:
                mask &= ~1  # where an odd register is not reserved, it stands for its pair
            scale = fpr_scale if name in _FLOAT_FIELDS else 1
            sink = GPR_SINK if name == destination else 0
            operands[operand_index(shift)] = OperandByte(shift, mask, scale, sink)
    return Packing(tuple(operands), immediate)


def pack_entry(word: int, encoding: Encoding, handler: int, fpr_scale: int) -> bytes:
    """The entry of `word`, an instance of `encoding`."""
    how = packing(encoding, fpr_scale)
    operands = [
        (word >> operand.shift & operand.mask) * operand.scale or operand.if_zero for operand in how.operands
    ]
    return _ENTRY.pack(handler, *operands, _immediate(word, how.immediate), 0)


def _immediate(word: int, kind: Immediate) -> int:
    low = word & 0xFFFF
    signed = low - (low >> 15 << 16)
    if kind is Immediate.BRANCH:
        return ENTRY_SIZE * (1 + signed)
    if kind is Immediate.INDEX:
        return (word & 0x03FF_FFFF) << 2
    return {Immediate.NONE: 0, Immediate.SIGNED: signed, Immediate.UNSIGNED: low}[kind]
