"""Dropping translations from the tables: by physical page, by segment, by range.

Slots of a block that has not been filled are not even read: to read memory that a host object does not have yet
makes the host allocate it, and all tables together are 3 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

from translator.ir import IrValue
from translator.system.routine import Routine, argument
from translator.system.views import (
    BLOCK_IN_WINDOW,
    BLOCK_SHIFT,
    HALF_SHIFT,
    SLOT_SHIFT,
    SPACES,
    TABLES,
    half_slots,
)
from translator.system.windows import hide_in_window, hiding_ir


def zap_ir() -> str:
    """LLVM IR of the module's functions."""
    parts = [hiding_ir(), _zap_physical_page(), _zap_kernel_segments(), _zap_slots(), _zap_blocks()]
    return "\n".join(parts)


def _zap_physical_page() -> str:
    """Empty every slot that leads to physical page `frame`."""
    r = Routine()
    head_at = r.read("back_map_heads") + (argument(r, "frame").zext(64) << 2)
    empty_slots(r, head_at, tables_of(r))
    return r.function("zap_physical_page", "void", ", i32 %frame")


@dataclass
class Tables:
    """Host addresses of what `CpuState` and `PhysicalMap` know of a vCPU's tables."""

    records: IrValue
    slots: IrValue
    blocks: IrValue
    windows: IrValue
    places: IrValue


def tables_of(r: Routine) -> Tables:
    """Those of the routine's vCPU."""
    fields = ("back_map_records", "slots_base", "slot_blocks", "windows_base", "window_places")
    return Tables(*map(r.read, fields))


def empty_slots(r: Routine, head_at: IrValue, tables: Tables) -> None:
    """The body of a function: empty the slots of a physical page, whose records of the back map are given up.

    `head_at` is the host address of the number of its first record.
    """
    head = r.load(head_at, 32)
    r.emit("br label %look")
    r.block("look")
    r.emit(f"%number = phi i32 [ {head.name}, %0 ], [ %number.next, %following ]")
    number = IrValue(r, "%number", 32)
    r.branch_if(number.eq(0), "done", "empty")
    r.block("empty")
    record_at = tables.records + (number.zext(64) << 3)
    empty_slot(r, r.load(record_at + 4, 32), tables)
    r.emit(f"%number.next = load i32, ptr {r.pointer(record_at)}")
    r.emit("br label %following")
    r.block("following")
    r.emit("br label %look")
    r.block("done")
    r.store(head_at, r.constant(0, 32))
    r.finish()


def empty_slot(r: Routine, slot: IrValue, tables: Tables) -> None:
    """Empty one slot, and take the page out of its window."""
    r.store(tables.slots + (slot.zext(64) << SLOT_SHIFT), r.constant(0, 64))
    block = r.load(tables.blocks + slot.shift_right(BLOCK_SHIFT).zext(64), 8)
    with r.when((block & BLOCK_IN_WINDOW).ne(0), unlikely=True):
        hide_in_window(r, slot, r.constant(1, 32), tables.windows, tables.places)


def _zap_kernel_segments() -> str:
    """Empty KSEG2 and KSEG3, the upper half of the kernel half, in all tables, as far as anything is there."""
    r = Routine()
    quarter = 1 << HALF_SHIFT - 1
    for table in range(TABLES):
        first = half_slots(SPACES) + (table << HALF_SHIFT) + quarter
        blocks = r.constant(quarter >> BLOCK_SHIFT, 32)
        r.call_for_effect("zap_blocks", r.constant(first >> BLOCK_SHIFT, 32), blocks)
    r.finish()
    return r.function("zap_kernel_segments", "void", "", "noinline cold")


def _zap_slots() -> str:
    """Empty at least the slots of a TLB entry's `pages` pages (an even number) in one table, from slot `first` on.

    A range smaller than a block lies in one block, even if PageMask has gaps: `first` has zeros where it has ones.
    """
    r = Routine()
    first, pages = argument(r, "first"), argument(r, "pages")
    block, last_block = (slot.shift_right(BLOCK_SHIFT) for slot in (first, first + pages - 1))
    with r.when(block.ne(last_block)):
        r.call_for_effect("zap_blocks", block, last_block - block + 1)
        r.finish()
    known = r.load(_block_at(r, block), 8)
    with r.when(known.ne(0)):
        start = r.read("slots_base") + (first.zext(64) << SLOT_SHIFT)
        with r.repeat(pages.shift_right(1)) as pair:
            r.emit(f"store i128 0, ptr {r.pointer(start + (pair.zext(64) << 4))}, align 8")
        _empty_windows(r, known, first, pages)
    r.finish()
    return r.function("zap_slots", "void", ", i32 %first, i32 %pages")


def _zap_blocks() -> str:
    """Empty `count` whole blocks from `first`."""
    r = Routine()
    first, count = argument(r, "first"), argument(r, "count")
    with r.repeat(count) as turn:
        block = first + turn
        block_at = _block_at(r, block)
        known = r.load(block_at, 8)
        with r.when(known.ne(0), unlikely=True):
            r.store(block_at, r.constant(0, 8))
            start = r.read("slots_base") + (block.zext(64) << BLOCK_SHIFT + SLOT_SHIFT)
            with r.repeat(1 << BLOCK_SHIFT) as slot:
                r.store(start + (slot.zext(64) << SLOT_SHIFT), r.constant(0, 64))
            _empty_windows(r, known, block << BLOCK_SHIFT, r.constant(1 << BLOCK_SHIFT, 32))
    r.finish()
    return r.function("zap_blocks", "void", ", i32 %first, i32 %count")


def _empty_windows(r: Routine, known: IrValue, first: IrValue, count: IrValue) -> None:
    """The same for the windows' pages, if some of the block may be there."""
    with r.when((known & BLOCK_IN_WINDOW).ne(0), unlikely=True):
        tables = tables_of(r)
        hide_in_window(r, first, count, tables.windows, tables.places)


def _block_at(r: Routine, block: IrValue) -> IrValue:
    return r.read("slot_blocks") + block.zext(64)
