"""Straight-line code from stencils, made by native code for what is warm.

A *run* is the code of instructions that follow each other on a page, from one that control has gone to RUN_HEAT times
until after the slot of a jump, or until there is another run or a region. Each entry of a run leads into it. A stencil
goes on with the instruction behind it, except where that need not be the next: behind a delay slot, and behind the
first instruction of a page, which may be one. Nothing in a run says where on which page its instructions are.

Who changes a word of code must cut the runs that it was part of (`stencil_cuts.py`).
"""

from __future__ import annotations

from typing import Final

from translator.decode_table import (
    HAS_SLOT,
    JUMPS,
    RAISES,
    RECORD,
    RECORDS_OFFSET,
    RELATIVE,
    RUN_FLAGS_OFFSET,
)
from translator.ir import IrValue
from translator.predecode import (
    ENTRY_SIZE,
    IMMEDIATE_OFFSET,
    OPERANDS,
    OPERANDS_OFFSET,
)
from translator.state import GPR_SINK, OFFSET
from translator.system.entry_places import load_word, page_address, place_of
from translator.system.heat import LONG_LOOP
from translator.system.routine import Routine, argument
from translator.system.stencil_layout import (
    CODE_AT,
    CODE_SIZE,
    COPIED_AT_ONCE,
    DESCRIPTOR,
    DISTANCE_SOURCE,
    FIRST_NUMBER,
    HOLE,
    HOLE_ADDEND,
    HOLE_AT,
    HOLE_COUNT,
    HOLE_SOURCE,
    HOLES_AT,
    IMMEDIATE_SOURCE,
    JUMP_OPCODE,
    JUMP_SIZE,
    NO_OPERATION_NUMBER,
    OPERAND_BYTES,
    REGISTERS,
    SOURCE_COUNT,
    SOURCES,
)
from translator.system.views import SENTINEL

_LONGEST: Final = 512
"""Instructions of a run."""
_LINE: Final = 64
"""Bytes at a multiple of which runs begin: what is being run is not written to."""
_PAGE: Final = 1 << 10
"""Instructions."""
_NOP: Final = 0
ENTRY_SHIFT: Final = 4
"""Of the size of an entry."""

# One element of a plan: what is to be done for an instruction.
_STENCIL: Final = 0
"""Host address of its descriptor; 0: its handler does it."""
_HANDLER: Final = 8
_ENDS: Final = 12
"""1: it goes on with the entry that has its turn."""
_OFFSET: Final = 16
"""Of what its entry runs."""
_FOUND: Final = 20
"""What its entry has run so far."""
_PLAN_SIZE: Final = 24


def stencil_runs_ir(big_endian: bool) -> str:
    """LLVM IR of make_run, and of what it calls."""
    return "\n".join(
        [
            _is_slot(big_endian),
            _plan_run(big_endian),
            _size_of_run(),
            _fill_sources(),
            _place_stencil(),
            _place_run(),
            _make_run(),
        ]
    )


def _word(r: Routine, code: IrValue, index: IrValue, big_endian: bool) -> IrValue:
    return load_word(r, code + (index.zext(64) << 2), big_endian)


def _flags(r: Routine, record: IrValue) -> IrValue:
    return r.load(record + RUN_FLAGS_OFFSET, 16).zext(32)


def _is_slot(big_endian: bool) -> str:
    """i32 is_slot(state, code, index): whether an instruction of a page may be a delay slot."""
    r = Routine()
    code, index = argument(r, "code", 64), argument(r, "index")
    with r.when(index.eq(0), unlikely=True):
        r.give(1)
    record = r.call("find_record", 64, _word(r, code, index - 1, big_endian))
    with r.when(record.eq(0), unlikely=True):
        r.give(0)
    r.give((_flags(r, record) & HAS_SLOT).ne(0).zext(32))
    return r.function("is_slot", "i32", ", i64 %code, i32 %index")


def _plan_run(big_endian: bool) -> str:
    """i32 plan_run(state, entry, code, index, plan): decode the instructions from an entry on; how many there are."""
    r = Routine()
    entry, code, index, plan = (
        argument(r, "entry", 64),
        argument(r, "code", 64),
        argument(r, "index"),
        argument(r, "plan", 64),
    )
    r.emit("%slot.at = alloca i32")
    r.emit("%jumped.at = alloca i32")
    r.emit(f"store {r.call('is_slot', 32, code, index).typed()}, ptr %slot.at")
    r.emit("store i32 0, ptr %jumped.at")
    left = r.constant(_PAGE, 32) - index
    longest = left.lt_unsigned(_LONGEST).select(left, r.constant(_LONGEST, 32))
    with r.repeat(longest) as number:
        at = entry + number.zext(64) * ENTRY_SIZE
        found = r.load(at, 32)
        with r.when(r.read("handlers_end").le_unsigned(found)):
            r.give(number)
        word = _word(r, code, index + number, big_endian)
        handler = r.call("decode_handler", 32, word)
        with r.when(handler.eq(0), unlikely=True):
            r.give(number)
        record = r.call("find_record", 64, word)
        r.call_for_effect("pack_entry", word, at, record)
        flags = _flags(r, record)
        in_slot = r.value("in_slot", "load i32, ptr %slot.at", 32)
        jumped = r.value("jumped", "load i32, ptr %jumped.at", 32)
        step = plan + number.zext(64) * _PLAN_SIZE
        descriptor = _descriptor(r, word, record)
        has_slot = (flags & HAS_SLOT).ne(0)
        lacks = r.load(descriptor + CODE_SIZE, 16).eq(0) | (has_slot & in_slot.ne(0))
        lacks = lacks | ((flags & RELATIVE).ne(0) & _is_far(r, at, index + number))
        r.store(step + _STENCIL, lacks.select(r.constant(0, 64), descriptor))
        r.store(step + _HANDLER, handler)
        r.store(step + _ENDS, in_slot)
        r.store(step + _FOUND, found)
        with r.when((in_slot & jumped).ne(0) | (flags & RAISES).ne(0)):
            r.give(number + 1)
        r.emit(f"store {has_slot.zext(32).typed()}, ptr %slot.at")
        r.emit(f"store {(flags & JUMPS).ne(0).zext(32).typed()}, ptr %jumped.at")
    r.give(longest)
    return r.function("plan_run", "i32", ", i64 %entry, i64 %code, i32 %index, i64 %plan")


def _descriptor(r: Routine, word: IrValue, record: IrValue) -> IrValue:
    """Host address of the descriptor of the stencil of a word, which has this record in the decode table."""
    distance = record - r.read("decode_table") - RECORDS_OFFSET
    number = distance.divide_unsigned(r.constant(RECORD.size, 64)) + FIRST_NUMBER
    number = word.eq(_NOP).select(r.constant(NO_OPERATION_NUMBER, 64), number)
    return r.read("stencil_table") + number * DESCRIPTOR.size


def _is_far(r: Routine, entry: IrValue, index: IrValue) -> IrValue:
    """Whether a branch goes off its page, to its own delay slot, or far back: its handler does more then."""
    distance = r.load(entry + IMMEDIATE_OFFSET, 32)
    goal = index * ENTRY_SIZE + distance
    is_off = r.constant(SENTINEL - 1, 32).lt_unsigned(goal)
    return is_off | distance.eq(ENTRY_SIZE) | (distance + LONG_LOOP * ENTRY_SIZE).le_signed(0)


def _size_of_run() -> str:
    """i32 size_of_run(state, plan, count): bytes of its code, at most."""
    r = Routine()
    plan, count = argument(r, "plan", 64), argument(r, "count")
    tail = r.load(r.read("stencil_table") + CODE_SIZE, 16).zext(32)
    r.emit("%size.at = alloca i32")
    r.emit(f"store {(tail + COPIED_AT_ONCE).typed()}, ptr %size.at")
    with r.repeat(count) as number:
        step = plan + number.zext(64) * _PLAN_SIZE
        stencil = r.load(step + _STENCIL, 64)
        size = r.value("size", "load i32, ptr %size.at", 32) + JUMP_SIZE
        r.emit(f"store {size.typed()}, ptr %size.at")
        with r.when(stencil.ne(0)):
            ending = r.load(step + _ENDS, 32) * tail
            r.emit(
                f"store {(size + r.load(stencil + CODE_SIZE, 16).zext(32) + ending).typed()}, ptr %size.at"
            )
    r.give(r.value("size", "load i32, ptr %size.at", 32))
    return r.function("size_of_run", "i32", ", i64 %plan, i32 %count")


def _fill_sources() -> str:
    """void fill_sources(state, entry, cursor, sources): what holes of an instruction's stencil are filled from."""
    r = Routine()
    entry, cursor, sources = argument(r, "entry", 64), argument(r, "cursor"), argument(r, "sources", 64)
    for place in range(OPERANDS):
        operand = r.load(entry + (OPERANDS_OFFSET + place), 8).zext(32)
        r.store(sources + 4 * (REGISTERS + place), operand * 4 + OFFSET["gpr"])
        r.store(sources + 4 * (SOURCES + place), (operand & GPR_SINK - 1) * 4 + OFFSET["gpr"])
        r.store(sources + 4 * (OPERAND_BYTES + place), operand)
    r.store(sources + 4 * IMMEDIATE_SOURCE, r.load(entry + IMMEDIATE_OFFSET, 32))
    r.store(sources + 4 * DISTANCE_SOURCE, r.constant(0, 32) - cursor)
    r.finish()
    return r.function("fill_sources", "void", ", i64 %entry, i32 %cursor, i64 %sources")


def _place_stencil() -> str:
    """i32 place_stencil(state, stencil, entry, cursor): copy its code to an offset in the arena; where it ends."""
    r = Routine()
    stencil, entry, cursor = argument(r, "stencil", 64), argument(r, "entry", 64), argument(r, "cursor")
    table = r.read("stencil_table")
    code = table + r.load(stencil + CODE_AT, 32).zext(64)
    size, hole_count = r.load(stencil + CODE_SIZE, 16).zext(32), r.load(stencil + HOLE_COUNT, 16).zext(32)
    holes = table + r.load(stencil + HOLES_AT, 32).zext(64)
    target = r.read("arena_writable") + cursor.zext(64)
    with r.repeat((size + (COPIED_AT_ONCE - 1)).divide_unsigned(COPIED_AT_ONCE)) as number:
        done = number.zext(64) * COPIED_AT_ONCE
        here, there = r.pointer(code + done), r.pointer(target + done)
        r.emit(f"call void @llvm.memcpy.p0.p0.i64(ptr {there}, ptr {here}, i64 {COPIED_AT_ONCE}, i1 false)")
    with r.when(hole_count.ne(0)):
        r.emit(f"%sources = alloca [{SOURCE_COUNT} x i32]")
        sources = r.integer("%sources")
        r.call_for_effect("fill_sources", entry, cursor, sources)
        with r.repeat(hole_count) as number:
            hole = holes + number.zext(64) * HOLE.size
            source = r.load(sources + (r.load(hole + HOLE_SOURCE, 16).zext(64) << 2), 32)
            r.store(target + r.load(hole + HOLE_AT, 16).zext(64), source + r.load(hole + HOLE_ADDEND, 32))
    r.give(cursor + size)
    return r.function("place_stencil", "i32", ", i64 %stencil, i64 %entry, i32 %cursor", "noinline")


def _place_run() -> str:
    """void place_run(state, entry, plan, count, cursor): write a run's code, and lead its entries there."""
    r = Routine()
    entry, plan, count = argument(r, "entry", 64), argument(r, "plan", 64), argument(r, "count")
    r.emit("%cursor.at = alloca i32")
    r.emit("%open.at = alloca i32")
    r.emit("store i32 %cursor, ptr %cursor.at")
    r.emit("store i32 0, ptr %open.at")
    tail = r.read("stencil_table")
    with r.repeat(count) as number:
        at, step = entry + number.zext(64) * ENTRY_SIZE, plan + number.zext(64) * _PLAN_SIZE
        stencil, ends = r.load(step + _STENCIL, 64), r.load(step + _ENDS, 32)
        cursor = r.value("cursor", "load i32, ptr %cursor.at", 32)
        has_stencil, handler_only, behind = r.label("stencil"), r.label("handler"), r.label("placed")
        r.branch_if(stencil.ne(0), has_stencil, handler_only)
        r.block(handler_only)
        handler = r.load(step + _HANDLER, 32)
        r.store(step + _OFFSET, handler)
        with r.when(r.value("open", "load i32, ptr %open.at", 32).ne(0)):
            host = r.read("arena_writable") + cursor.zext(64)
            r.store(host, r.constant(JUMP_OPCODE, 8))
            r.store(host + 1, handler - (cursor + JUMP_SIZE))
            r.emit(f"store {(cursor + JUMP_SIZE).typed()}, ptr %cursor.at")
        r.emit("store i32 0, ptr %open.at")
        r.emit(f"br label %{behind}")
        r.block(has_stencil)
        r.store(step + _OFFSET, cursor)
        r.emit(f"store {r.call('place_stencil', 32, stencil, at, cursor).typed()}, ptr %cursor.at")
        r.emit(f"store {(ends ^ 1).typed()}, ptr %open.at")
        with r.when(ends.ne(0)):
            cursor = r.value("cursor", "load i32, ptr %cursor.at", 32)
            r.emit(f"store {r.call('place_stencil', 32, tail, at, cursor).typed()}, ptr %cursor.at")
        r.emit(f"br label %{behind}")
        r.block(behind)
    with r.when(r.value("open", "load i32, ptr %open.at", 32).ne(0)):
        cursor = r.value("cursor", "load i32, ptr %cursor.at", 32)
        r.call("place_stencil", 32, tail, entry, cursor)
    # All of it is there now, for other vCPUs, too; which may have been faster.
    with r.repeat(count) as number:
        step = plan + number.zext(64) * _PLAN_SIZE
        before, after = r.load(step + _FOUND, 32), r.load(step + _OFFSET, 32)
        place = r.pointer(entry + number.zext(64) * ENTRY_SIZE)
        r.emit(f"cmpxchg ptr {place}, {before.typed()}, {after.typed()} release monotonic")
    r.finish()
    return r.function("place_run", "void", ", i64 %entry, i64 %plan, i32 %count, i32 %cursor")


def _make_run() -> str:
    """void make_run(state, entry): have an entry, and those behind it, run stencils, if there is memory for them."""
    r = Routine()
    entry, pool = argument(r, "entry", 64), r.read("stencil_pool")
    with r.when(pool.eq(0)):
        r.finish()
    with r.when(r.load(pool + 4, 32).le_unsigned(r.load(pool, 32)), unlikely=True):
        r.finish()
    r.emit(f"%steps = alloca [{_LONGEST * _PLAN_SIZE} x i8], align 8")
    plan = r.integer("%steps")
    machine_page, in_page = place_of(r, entry)
    code, index = page_address(r, machine_page), in_page.shift_right(ENTRY_SHIFT).trunc(32)
    # The end of the page goes to the next one.
    with r.when(r.constant(_PAGE, 32).le_unsigned(index), unlikely=True):
        r.finish()
    count = r.call("plan_run", 32, entry, code, index, plan)
    with r.when(count.eq(0), unlikely=True):
        r.finish()
    size = (r.call("size_of_run", 32, plan, count) + (_LINE - 1)) & -_LINE
    next_at = r.pointer(pool)
    cursor = r.value("cursor", f"atomicrmw add ptr {next_at}, {size.typed()} monotonic", 32)
    with r.when(r.load(pool + 4, 32).lt_unsigned(cursor + size), unlikely=True):
        r.finish()
    r.call_for_effect("place_run", entry, plan, count, cursor)
    r.finish()
    return r.function("make_run", "void", ", i64 %entry", "noinline")
