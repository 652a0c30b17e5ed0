"""The decode table: what native code needs to turn an instruction word into its predecoded entry by itself.

Derived from the encodings, so that tier 0 meets new code without Python. What may be reserved is left to Python, which
puts such words into the hash of decoded words: those without a record, ranges of bits that are none, and odd registers
with Status.FR = 0. What a `Remainder` leaves out stands earlier in the same list.

Layout, little endian: 4,096 u16 (by opcode and low six bits: where the bucket's list of records starts), the records of
all encodings, and the lists: u16 record numbers, each list ended by END.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from typing import Final

from translator import isa
from translator.encoding import ENCODINGS, BitRange, Encoding, Flow
from translator.float_mode import always_reserved, odd_register_bits
from translator.predecode import OPERANDS, Packing, handler_symbol, packing, reserved_in_coprocessor_symbol

assert isa  # importing it fills ENCODINGS

BUCKETS: Final = 64 * 64
END: Final = 0xFFFF
BIT_RANGE_FLAG: Final = {BitRange.BY_SIZE: 1, BitRange.BY_END: 2}
"""In a record's flags: two fields have to name a range of bits: `lsb`, at the first place, and one at the second."""
LSB_SHIFT: Final = 6
SIZE_OR_END_SHIFT: Final = 11

RECORD: Final = struct.Struct("<IIIIBBH" + "4B" * OPERANDS)
"""mask, match, handler offset, bits that must be 0 with Status.FR = 0, immediate, flags, run flags; for each operand
byte: shift, mask, scale, replacement of 0."""

RUN_FLAGS_OFFSET: Final = 18
"""In a record: what a run of straight-line code must know of the instruction (`translator.system.stencil_runs`)."""
HAS_SLOT, JUMPS, RAISES, RELATIVE = 1, 2, 4, 8
"""These flags: it has a delay slot; control does not go on behind that; nor behind itself; it branches relatively."""

RECORDS_OFFSET: Final = 2 * BUCKETS
LISTS_OFFSET: Final = RECORDS_OFFSET + RECORD.size * len(ENCODINGS)


def decode_table(handlers: Mapping[str, int], *, wide_fpu: bool) -> bytes:
    """The table for one FPU register mode; `handlers`: their offsets, by symbol."""
    starts, lists = _lists()
    records = (_record(encoding, handlers, wide_fpu) for encoding in ENCODINGS.values())
    return struct.pack(f"<{BUCKETS}H", *starts) + b"".join(records) + struct.pack(f"<{len(lists)}H", *lists)


def _record(encoding: Encoding, handlers: Mapping[str, int], wide_fpu: bool) -> bytes:
    is_reserved = not wide_fpu and always_reserved(encoding)
    symbol = reserved_in_coprocessor_symbol(1) if is_reserved else handler_symbol(encoding.mnemonic)
    odd = 0 if wide_fpu else odd_register_bits(encoding)
    how: Packing = packing(encoding, 2 if wide_fpu else 1)
    flags = _flags(encoding)
    operands = [byte for operand in how.operands for byte in operand]
    return RECORD.pack(
        encoding.mask,
        encoding.match,
        handlers[symbol],
        odd,
        how.immediate,
        flags,
        _run_flags(encoding),
        *operands,
    )


@cache
def _lists() -> tuple[list[int], list[int]]:
    """Where each bucket's list starts, and the lists; many buckets have the same one."""
    buckets: list[list[int]] = [[] for _ in range(BUCKETS)]
    for number, encoding in enumerate(ENCODINGS.values()):
        opcode = encoding.match >> 26
        for function in encoding.functions:
            buckets[opcode << 6 | function].append(number)
    starts: list[int] = []
    lists: list[int] = []
    places: dict[tuple[int, ...], int] = {}
    for bucket in buckets:
        key = tuple(bucket)
        if key not in places:
            places[key] = len(lists)
            lists += [*bucket, END]
        starts.append(places[key])
    return starts, lists


def _run_flags(encoding: Encoding) -> int:
    flow = encoding.flow
    return (
        HAS_SLOT * flow.has_delay_slot
        | JUMPS * (flow in (Flow.JUMP, Flow.JUMP_REGISTER))
        | RAISES * (flow is Flow.EXCEPTION)
        | RELATIVE * (flow in (Flow.BRANCH, Flow.BRANCH_LIKELY))
    )


def _flags(encoding: Encoding) -> int:
    condition = encoding.valid_if
    if isinstance(condition, BitRange):
        shifts = [encoding.fields[name][0] for name in ("lsb", condition.value)]
        assert shifts == [LSB_SHIFT, SIZE_OR_END_SHIFT], encoding.mnemonic
        return BIT_RANGE_FLAG[condition]
    return 0
