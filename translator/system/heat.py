"""How hot code is: the counters in its predecoded entries (`translator.predecode`)."""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE, SYSTEM_HOTTER_THRESHOLD
from translator.system.page_routine import PageRoutine
from translator.system.routine import argument

TICK_HEAT: Final = 32
"""What a taken branch counts for in a tick of an idle virtual machine, of which there will be many: a power of two."""

_LONG_LOOP: Final = 64
"""Instructions. A branch back over so many …"""
_LONG_LOOP_HEAT: Final = 16
"""… counts for so much at least, a power of two: time passes in instructions, and few branches stand for many in a loop
that somebody has unrolled, such as SHA-256's of 489 instructions. Not all that goes back so far is a loop."""


def heat_of_branch(heat: IrValue, entry: IrValue, target: IrValue) -> IrValue:
    """What a taken branch counts for, by where its entry and its target's stand in a row of all entries."""
    is_long = (target + _LONG_LOOP * ENTRY_SIZE).le_unsigned(entry) & heat.lt_unsigned(_LONG_LOOP_HEAT)
    return is_long.select(heat.constant(_LONG_LOOP_HEAT, heat.width), heat)


def counter_after(count: IrValue, heat: IrValue) -> IrValue:
    """A counter after a taken branch that counts for `heat`: a multiple of that, so that no multiple of what an address
    is reported at is left out."""
    return (count + heat) & heat.constant(0, heat.width) - heat


def heat_ir() -> str:
    """i32 cool_entries(entries, count): of so many predecoded entries, those that are not hot yet begin to count anew.

    What is hot has been seen to; and what a register jump notes in its delay slot is an address, greater than counters.
    """
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as number:
        at = argument(r, "entries", 64) + number.zext(64) * ENTRY_SIZE + COUNTER_OFFSET
        # Not if there is nothing to undo: the host has no memory yet for entries that nobody has written to.
        with r.when((r.load(at, 32) - 1).lt_unsigned(SYSTEM_HOTTER_THRESHOLD - 1)):
            r.store(at, r.constant(0, 32))
    r.give(0)
    return r.function("cool_entries", "i32", "i64 %entries, i32 %count")
