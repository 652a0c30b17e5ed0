"""Entries that run stencils no more: of a word that has been stored to, and of all runs, when their memory is emptied.

A stencil goes on with the next one without a look at its entry, so that a change of a word concerns the entries in
front of it, too. A run that has been cut may still be run by others than the one who has stored to the page, until they
leave native code: their pages are others, too.
"""

from __future__ import annotations

from translator.ir import IrValue
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE, SYSTEM_HOTTER_THRESHOLD, SYSTEM_WARM_SHIFT
from translator.system.entry_places import page_address, place_of
from translator.system.page_routine import PageRoutine
from translator.system.routine import Routine, argument
from translator.system.stencil_runs import ENTRY_SHIFT


def _forget(r: Routine, entry: IrValue, handlers_end: IrValue, stencils_end: IrValue) -> None:
    """If an entry runs stencils, empty it, and let it get warm again.

    What is hot has its counter for regions; and what a register jump notes in its delay slot is an address, greater
    than counters.
    """
    handler, counter = r.load(entry, 32), r.load(entry + COUNTER_OFFSET, 32)
    with r.when(handlers_end.le_unsigned(handler) & handler.lt_unsigned(stencils_end)):
        r.store(entry, r.constant(0, 32))
        with r.when(counter.lt_unsigned(SYSTEM_HOTTER_THRESHOLD)):
            r.store(entry + COUNTER_OFFSET, counter & -1 << SYSTEM_WARM_SHIFT)


def cut_run_ir() -> str:
    """void cut_run(state, entry): the words of an entry and the next one have been stored to: empty these, and the one
    behind them, which may have become a delay slot, or is none any more; and those whose stencils go on with them
    without a look at their entries, and with these, and so on. In between there may be entries that have been emptied,
    or run a handler: stencils go on over them all the same.
    """
    r = Routine()
    entry = argument(r, "entry", 64)
    ends = r.read("handlers_end"), r.read("tier_0_end")
    for word in range(3):
        _forget(r, entry + ENTRY_SIZE * word, *ends)
        r.store(entry + ENTRY_SIZE * word, r.constant(0, 32))
    machine_page, in_page = place_of(r, entry)
    code, index = page_address(r, machine_page), in_page.shift_right(ENTRY_SHIFT).trunc(32)
    with r.when(index.eq(0) | r.read("stencil_pool").eq(0)):
        r.finish()
    with r.repeat(index) as number:
        with r.when(r.call("is_slot", 32, code, index - number - 1).ne(0)):
            r.finish()
        _forget(r, entry - (number.zext(64) + 1) * ENTRY_SIZE, *ends)
    r.finish()
    return r.function("cut_run", "void", ", i64 %entry", "noinline")


def forget_runs_ir() -> str:
    """i32 forget_runs(entries, count, handlers_end, stencils_end): have none of so many entries run stencils."""
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as number:
        at = argument(r, "entries", 64) + number.zext(64) * ENTRY_SIZE
        _forget(r, at, argument(r, "handlers_end"), argument(r, "stencils_end"))
    r.give(0)
    return r.function("forget_runs", "i32", "i64 %entries, i32 %count, i32 %handlers_end, i32 %stencils_end")
