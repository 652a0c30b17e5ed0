"""How hot code is: the counters in its predecoded entries (`translator.predecode`)."""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE, SYSTEM_HOTTER_THRESHOLD, SYSTEM_REPORT_MASK
from translator.system.page_routine import PageRoutine
from translator.system.routine import argument

TICK_HEAT: Final = 32
"""What a taken branch counts for in a tick of an idle virtual machine, of which there will be many: a power of two."""

RUN_HEAT: Final = 32
"""What so many taken branches have gone to runs stencils (`stencil_runs`): a power of two, no less than TICK_HEAT."""

LONG_LOOP: Final = 64
"""Instructions. A branch back over so many on its page may close a long loop …"""
_KNOWN_EARLIER: Final = 1 << 12
"""… whose head is reported after so many taken branches as well, for a region of an earlier run: 65,536 times round
SHA-256's loop of 489 instructions take a tenth of a second. To be compiled, it must be as hot as any other: that takes
as much longer as it is long, too."""


def counter_after(count: IrValue, heat: IrValue) -> IrValue:
    """A counter after a taken branch that counts for `heat`: a multiple of that, so that no multiple of what an address
    is reported at is left out."""
    return (count + heat) & heat.constant(0, heat.width) - heat


def is_noticed(count: IrValue) -> IrValue:
    """Whether a target is reported, or, if RUN_HEAT is in `count`, is to run stencils: `count` is what a taken branch
    has made of its counter."""
    return (count & (SYSTEM_REPORT_MASK & ~RUN_HEAT)).eq(0)


def is_reported_earlier(count: IrValue, entry: IrValue, target: IrValue) -> IrValue:
    """Whether a branch closes a long loop, whose head is reported now; both by their entries' addresses."""
    closes_long_loop = (target + LONG_LOOP * ENTRY_SIZE).le_unsigned(entry)
    return closes_long_loop & count.eq(_KNOWN_EARLIER)


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
