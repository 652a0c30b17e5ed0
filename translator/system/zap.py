"""Dropping translations from the tables: by physical page, by segment, by range.

Slots of a block that has not been filled are not even read: to read memory that a host object does not have yet
makes the host allocate it, and all tables together are 3 GB.
"""

from __future__ import annotations

from translator.ir import IrValue
from translator.system.routine import Routine, argument
from translator.system.views import BLOCK_SHIFT, HALF_SHIFT, SLOT_SHIFT, SPACES, TABLES, half_slots


def zap_ir() -> str:
    """LLVM IR of the module's functions."""
    return "\n".join([_zap_physical_page(), _zap_kernel_segments(), _zap_slots(), _zap_blocks()])


def _zap_physical_page() -> str:
    """Empty every slot that leads to physical page `frame`."""
    r = Routine()
    head_at = r.read("back_map_heads") + (argument(r, "frame").zext(64) << 2)
    empty_slots(r, head_at, r.read("back_map_records"), r.read("slots_base"))
    return r.function("zap_physical_page", "void", ", i32 %frame")


def empty_slots(r: Routine, head_at: IrValue, records: IrValue, slots: IrValue) -> None:
    """The body of a function: empty the slots of a physical page, whose records of the back map are given up.

    `head_at` is the host address of the number of its first record.
    """
    head = r.load(head_at, 32)
    r.emit("br label %look")
    r.block("look")
    r.emit(f"%number = phi i32 [ {head.name}, %0 ], [ %number.next, %empty ]")
    number = IrValue(r, "%number", 32)
    r.branch_if(number.eq(0), "done", "empty")
    r.block("empty")
    record_at = records + (number.zext(64) << 3)
    slot = r.load(record_at + 4, 32)
    r.store(slots + (slot.zext(64) << 3), r.constant(0, 64))
    r.emit(f"%number.next = load i32, ptr {r.pointer(record_at)}")
    r.emit("br label %look")
    r.block("done")
    r.store(head_at, r.constant(0, 32))
    r.finish()


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
    with r.when(r.load(_is_filled_at(r, block), 8).ne(0)):
        start = r.read("slots_base") + (first.zext(64) << SLOT_SHIFT)
        with r.repeat(pages.shift_right(1)) as pair:
            r.emit(f"store i128 0, ptr {r.pointer(start + (pair.zext(64) << 4))}, align 8")
    r.finish()
    return r.function("zap_slots", "void", ", i32 %first, i32 %pages")


def _zap_blocks() -> str:
    """Empty `count` whole blocks from `first`."""
    r = Routine()
    first, count = argument(r, "first"), argument(r, "count")
    with r.repeat(count) as turn:
        block = first + turn
        is_filled_at = _is_filled_at(r, block)
        with r.when(r.load(is_filled_at, 8).ne(0), unlikely=True):
            r.store(is_filled_at, r.constant(0, 8))
            start = r.read("slots_base") + (block.zext(64) << BLOCK_SHIFT + SLOT_SHIFT)
            with r.repeat(1 << BLOCK_SHIFT) as slot:
                r.store(start + (slot.zext(64) << SLOT_SHIFT), r.constant(0, 64))
    r.finish()
    return r.function("zap_blocks", "void", ", i32 %first, i32 %count")


def _is_filled_at(r: Routine, block: IrValue) -> IrValue:
    return r.read("slot_blocks") + block.zext(64)
