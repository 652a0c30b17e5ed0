"""Decoding in native code: an instruction word → its predecoded entry, by the decode table."""

from __future__ import annotations

from typing import Final

from translator.decode_table import (
    BIT_RANGE_FLAG,
    END,
    LISTS_OFFSET,
    LSB_SHIFT,
    RECORD,
    RECORDS_OFFSET,
    SIZE_OR_END_SHIFT,
)
from translator.encoding import BitRange
from translator.ir import IrValue
from translator.predecode import ENTRY_SIZE, IMMEDIATE_OFFSET, OPERANDS, OPERANDS_OFFSET, Immediate
from translator.system.routine import Routine, argument

_MASK: Final = 0
_MATCH: Final = 4
_HANDLER: Final = 8
_ODD: Final = 12
_IMMEDIATE: Final = 16
_FLAGS: Final = 17
_OPERANDS: Final = 20
_OPERAND_SIZE: Final = 4


def decoding_ir() -> str:
    """LLVM IR of decode_handler and fill_entry."""
    return "\n".join([_find(), _decode_handler(), _fill_entry(), _pack()])


def _find() -> str:
    """i64 find_record(state, word): the host address of the record of a word; 0 if it is reserved."""
    r = Routine()
    word = argument(r, "word")
    table = r.read("decode_table")
    bucket = (word.shift_right(20) & 0xFC0) | (word & 0x3F)
    start = r.load(table + (bucket.zext(64) << 1), 16)
    first = table + LISTS_OFFSET + (start.zext(64) << 1)
    r.emit("br label %look")
    r.block("look")
    r.emit(f"%at = phi i64 [ {first.name}, %0 ], [ %at.next, %other ]")
    at = IrValue(r, "%at", 64)
    number = r.load(at, 16)
    r.branch_if(number.eq(END), "none", "compare")
    r.block("compare")
    record = table + RECORDS_OFFSET + number.zext(64) * RECORD.size
    r.branch_if((word & r.load(record + _MASK, 32)).eq(r.load(record + _MATCH, 32)), "found", "other")
    r.block("other")
    r.emit("%at.next = add i64 %at, 2")
    r.emit("br label %look")
    r.block("found")
    r.give(record)
    r.block("none")
    r.give(0, 64)
    return r.function("find_record", "i64", ", i32 %word")


def _decode_handler() -> str:
    """i32 decode_handler(state, word): the handler offset of a word; 0 if only Python can tell."""
    r = Routine()
    word = argument(r, "word")
    record = r.call("find_record", 64, word)
    with r.when(record.eq(0), unlikely=True):
        r.give(0)
    flags = r.load(record + _FLAGS, 8)
    asks = (word & r.load(record + _ODD, 32)).ne(0) | _lacks_bit_range(word, flags)
    with r.when(asks, unlikely=True):
        r.give(0)
    r.give(r.load(record + _HANDLER, 32))
    return r.function("decode_handler", "i32", ", i32 %word")


def _lacks_bit_range(word: IrValue, flags: IrValue) -> IrValue:
    """Whether two fields should name a range of bits, and do not."""
    lsb, second = (word.shift_right(shift) & 31 for shift in (LSB_SHIFT, SIZE_OR_END_SHIFT))
    by_size, by_end = ((flags & BIT_RANGE_FLAG[how]).ne(0) for how in (BitRange.BY_SIZE, BitRange.BY_END))
    return (by_size & ((lsb + second) & 32).ne(0)) | (by_end & second.lt_unsigned(lsb))


def _fill_entry() -> str:
    """i32 fill_entry(state, word, entry): decode a word into the entry at a host address; 0: only Python can."""
    r = Routine()
    word, entry = argument(r, "word"), argument(r, "entry", 64)
    handler = r.call("decode_handler", 32, word)
    with r.when(handler.eq(0), unlikely=True):
        r.give(0)
    r.call_for_effect("pack_entry", word, entry, r.call("find_record", 64, word))
    r.publish(entry, handler)
    r.give(1)
    return r.function("fill_entry", "i32", ", i32 %word, i64 %entry", "noinline")


def _pack() -> str:
    """Operand bytes and immediate, as `translator.predecode.packing` says."""
    r = Routine()
    word, entry, record = argument(r, "word"), argument(r, "entry", 64), argument(r, "record", 64)
    for place in range(OPERANDS):
        shift, mask, scale, if_zero = (
            r.load(record + (_OPERANDS + _OPERAND_SIZE * place + part), 8).zext(32) for part in range(4)
        )
        number = (word.shift_right(shift) & mask) * scale
        operand = number.eq(0).select(if_zero, number)
        r.store(entry + (OPERANDS_OFFSET + place), operand.trunc(8))
    low = word & 0xFFFF
    signed = low.trunc(16).sext(32)
    kind = r.load(record + _IMMEDIATE, 8)
    immediate = r.constant(0, 32)
    for which, value in (
        (Immediate.SIGNED, signed),
        (Immediate.UNSIGNED, low),
        (Immediate.BRANCH, (signed + 1) * ENTRY_SIZE),
        (Immediate.INDEX, (word & 0x03FF_FFFF) << 2),
    ):
        immediate = kind.eq(int(which)).select(value, immediate)
    r.store(entry + IMMEDIATE_OFFSET, immediate)
    r.finish()
    return r.function("pack_entry", "void", ", i32 %word, i64 %entry, i64 %record")
