"""Emptying slots of the tables bit by bit, so that what is in use is filled, and counted, again."""

from __future__ import annotations

from translator.system.routine import Routine, argument
from translator.system.zap import empty_slot, tables_of


def aging_ir() -> str:
    """LLVM IR of age_tables; i32: how many slots have been emptied.

    The next `records` of the back map are looked at, in turn, but no more than `most` slots emptied. The records stay:
    a slot that is filled again has one already.
    """
    r = Routine()
    emptied = r.variable("emptied")
    used = r.read("back_map_used")
    with r.when(used.eq(1)):
        r.give(0)
    with r.repeat(argument(r, "records")):
        next_record = r.read("aged_record")
        is_there = (next_record - 1).lt_unsigned(used - 1)
        record = is_there.select(next_record, r.constant(1, 32))
        r.write("aged_record", record + 1)
        slot = r.load(r.read("back_map_records") + (record.zext(64) << 3) + 4, 32)
        slot_at = r.read("slots_base") + (slot.zext(64) << 3)
        with r.when(r.load(slot_at, 64).ne(0)):
            empty_slot(r, slot, tables_of(r))
            count = emptied.get() + 1
            emptied.set(count)
            with r.when(count.eq(argument(r, "most"))):
                r.give(count)
    r.give(emptied.get())
    return r.function("age_tables", "i32", ", i32 %records, i32 %most")
