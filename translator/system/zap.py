"""Dropping translations from the tables by physical page or by segment, rather than by TLB entry."""

from __future__ import annotations

from translator.ir import IrValue
from translator.system.routine import Routine, argument
from translator.system.views import BLOCK_SHIFT, HALF_SHIFT, SLOT_SHIFT, SPACES, TABLES, half_slots


def zap_ir() -> str:
    """LLVM IR of zap_physical_page and zap_kernel_segments."""
    return "\n".join([_zap_physical_page(), _zap_kernel_segments()])


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
        start = r.read("slots_base") + 8 * first
        with r.repeat(quarter >> BLOCK_SHIFT) as block:
            is_used_at = r.read("slot_blocks") + (first >> BLOCK_SHIFT) + block.zext(64)
            with r.when(r.load(is_used_at, 8).ne(0)):
                r.store(is_used_at, r.constant(0, 8))
                block_start = start + (block.zext(64) << BLOCK_SHIFT + SLOT_SHIFT)
                with r.repeat(1 << BLOCK_SHIFT) as slot:
                    r.store(block_start + (slot.zext(64) << SLOT_SHIFT), r.constant(0, 64))
    r.finish()
    return r.function("zap_kernel_segments", "void", "", "noinline cold")
