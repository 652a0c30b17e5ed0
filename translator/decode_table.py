"""The decode table: what native code needs to turn an instruction word into its predecoded entry by itself.

Derived from the encodings, so that tier 0 meets new code without Python. Only words that may be reserved by what their
fields say are left to that, which puts them into the hash of decoded words: ranges of bits that are none, and odd
registers with Status.FR = 0. What a `Remainder` leaves out stands earlier in the same list.

Layout, little endian: 4,096 u16 (by opcode and low six bits: where the bucket's list of records starts), the lists of
u16 record numbers, each ended by END, then the records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from translator import isa
from translator.encoding import ENCODINGS, BitRange, Encoding
from translator.float_mode import always_reserved, odd_register_bits
from translator.predecode import OPERANDS, Packing, packing

assert isa  # importing it fills ENCODINGS

BUCKETS: Final = 64 * 64
END: Final = 0xFFFF
BIT_RANGE_FLAG: Final = {BitRange.BY_SIZE: 1, BitRange.BY_END: 2}
"""In a record's flags: two fields have to name a range of bits, the one at …"""
LSB_SHIFT: Final = 6
"""… and the one at …"""
BIT_RANGE_SHIFT: Final = 11

RECORD: Final = struct.Struct("<IIIIBBH" + "4B" * OPERANDS)
"""mask, match, handler offset, bits that must be 0 with Status.FR = 0, immediate, flags, unused; for each operand byte:
shift, mask, scale, replacement of 0."""

HandlerOf = Callable[[Encoding, bool], int]
"""Handler offset of an encoding; True: of what it is where it is reserved."""


class DecodeTable:
    """The table for one FPU register mode."""

    def __init__(self, handler_of: HandlerOf, *, wide_fpu: bool) -> None:
        self._records: list[bytes] = []
        self._handler_of = handler_of
        self._wide_fpu = wide_fpu
        buckets: list[list[int]] = [[] for _ in range(BUCKETS)]
        for number, encoding in enumerate(ENCODINGS.values()):
            self._records.append(self._record(encoding))
            opcode = encoding.match >> 26
            for function in range(64):
                if function & encoding.mask == encoding.match & 63 & encoding.mask:
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
        self.lists_offset: Final = 2 * BUCKETS
        self.records_offset: Final = self.lists_offset + 2 * len(lists) + 3 & ~3
        head = struct.pack(f"<{BUCKETS}H{len(lists)}H", *starts, *lists)
        self.contents: Final = head.ljust(self.records_offset, b"\0") + b"".join(self._records)

    def _record(self, encoding: Encoding) -> bytes:
        reserved = not self._wide_fpu and always_reserved(encoding)
        odd = 0 if self._wide_fpu else odd_register_bits(encoding)
        how: Packing = packing(encoding, 2 if self._wide_fpu else 1)
        flags = _flags(encoding)
        operands = [byte for operand in how.operands for byte in operand]
        handler = self._handler_of(encoding, reserved)
        return RECORD.pack(encoding.mask, encoding.match, handler, odd, how.immediate, flags, 0, *operands)


def _flags(encoding: Encoding) -> int:
    condition = encoding.valid_if
    if isinstance(condition, BitRange):
        shifts = [encoding.fields[name][0] for name in ("lsb", condition.value)]
        assert shifts == [LSB_SHIFT, BIT_RANGE_SHIFT], encoding.mnemonic
        return BIT_RANGE_FLAG[condition]
    return 0
