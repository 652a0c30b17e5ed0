"""The second-level TLB: what `tlbwr` has evicted goes on translating, as if the TLB were larger.

No correct guest can tell. It does not know which entry `tlbwr` overwrites, so it must allow for each one being
there still; whatever tells it otherwise – a probe that fails, an entry seen or rewritten at the index
where the evicted one was (its *origin*), a look at Random – drops what is then known to be gone. That is, if the guest
knew that it was at this index: it had written it there, or had found it. What it has not, it can only know to be
gone when it has seen every index: those have a ring of their own. (So Linux, which probes and rewrites an entry at
every page fault, seldom loses any.) An entry serves an access only where it raises no exception; else a refill is
forwarded (DESIGN section 8). Keys are VPN2 | ASID, or VPN2 | GLOBAL; entries of one origin form a ring.
"""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.state import SECOND_LEVEL_EMPTY, SECOND_LEVEL_SIZE, TLB_SIZE
from translator.system.routine import Routine, argument

GLOBAL: Final = 0x100
"""In a key, in place of the ASID."""
ORIGIN_UNKNOWN: Final = TLB_SIZE
"""The ring of what the guest does not know the index of."""
_WAYS: Final = 2


def second_level_ir() -> str:
    """LLVM IR of finding, inserting, and dropping by key, by origin, or as the guest sees an index."""
    parts = [_find(), _find_exactly(), _insert(), _drop(), _observe(), _drop_origin(), _remove()]
    return "\n".join(parts)


def _first_way(key: IrValue) -> IrValue:
    hashed = key.shift_right(13) ^ (key & 0x1FF) * 0x9D ^ key.shift_right(21)
    return hashed & SECOND_LEVEL_SIZE - _WAYS


def _find_exactly() -> str:
    """i32: the number of the entry with this key, or -1."""
    r = Routine()
    key = argument(r, "key")
    first = _first_way(key)
    for way in range(_WAYS):
        with r.when(r.element("second_hi", first + way).eq(key)):
            r.give(first + way)
    r.give(-1)
    return r.function("second_find_exactly", "i32", ", i32 %key")


def _find() -> str:
    """i32: the number of the entry that translates VPN2 | ASID, or -1.

    A global one comes first: where both are, it is the one that the TLB had later (see `second_insert`).
    """
    r = Routine()
    key = argument(r, "key")
    shared = r.call("second_find_exactly", 32, (key & 0xFFFF_E000) | GLOBAL)
    with r.when(shared.ne(-1)):
        r.give(shared)
    r.give(r.call("second_find_exactly", 32, key))
    return r.function("second_find", "i32", ", i32 %key")


def _insert() -> str:
    """Keep what was in TLB entry `origin`; it goes on translating what it has translated there."""
    r = Routine()
    key, origin = argument(r, "key"), argument(r, "origin")
    r.call_for_effect("second_drop", key)
    first = _first_way(key)
    is_taken = r.element("second_hi", first).ne(SECOND_LEVEL_EMPTY)
    number = is_taken.select(first + 1, first)
    with r.when(r.element("second_hi", number).ne(SECOND_LEVEL_EMPTY)):
        r.call_for_effect("second_remove", number)
    r.set_element("second_hi", number, key)
    r.set_element("second_lo0", number, argument(r, "low0"))
    r.set_element("second_lo1", number, argument(r, "low1"))
    head = origin + SECOND_LEVEL_SIZE
    following = r.element("second_next", head).zext(32)
    r.set_element("second_next", number, following.trunc(16))
    r.set_element("second_previous", number, head.trunc(16))
    r.set_element("second_next", head, number.trunc(16))
    r.set_element("second_previous", following, number.trunc(16))
    r.finish()
    return r.function("second_insert", "void", ", i32 %key, i32 %low0, i32 %low1, i32 %origin")


def _remove() -> str:
    """Remove entry `number` (none if -1) and what it has filled in the tables."""
    r = Routine()
    number = argument(r, "number")
    with r.when(number.eq(-1)):
        r.finish()
    key = r.element("second_hi", number)
    following = r.element("second_next", number)
    previous = r.element("second_previous", number)
    r.set_element("second_next", previous.zext(32), following)
    r.set_element("second_previous", following.zext(32), previous)
    r.set_element("second_hi", number, r.constant(SECOND_LEVEL_EMPTY, 32))
    is_global = (key & GLOBAL).ne(0)
    compared = is_global.select(r.constant(0xFFFF_E000, 32), r.constant(0xFFFF_E0FF, 32))
    r.call_for_effect("tlb_zap", key & 0xFFFF_E0FF, compared)
    r.finish()
    return r.function("second_remove", "void", ", i32 %number")


def _drop() -> str:
    """Drop what translates VPN2 | ASID."""
    r = Routine()
    key = argument(r, "key")
    r.call_for_effect("second_remove", r.call("second_find_exactly", 32, key))
    r.call_for_effect("second_remove", r.call("second_find_exactly", 32, (key & 0xFFFF_E000) | GLOBAL))
    r.finish()
    return r.function("second_drop", "void", ", i32 %key")


def _observe() -> str:
    """The guest gets to know what TLB entry `index` holds: nothing that was known to be there still is, and when it has
    seen all that may be overwritten, nothing else that was evicted before is there either.
    """
    r = Routine()
    index = argument(r, "index")
    r.call_for_effect("second_drop_origin", index)
    bit = r.constant(1, 64) << index.zext(64)
    r.write("tlb_known", r.read("tlb_known") | bit)
    observed = r.read("tlb_observed") | bit
    r.write("tlb_observed", observed)
    replaceable = (r.constant(2, 64) << r.read("tlb_last").zext(64)) - (
        r.constant(1, 64) << r.read("wired_most").zext(64)
    )
    with r.when((observed & replaceable).eq(replaceable), unlikely=True):
        r.call_for_effect("second_drop_origin", r.constant(ORIGIN_UNKNOWN, 32))
        r.write("tlb_observed", 0)
        r.write("wired_most", r.read("wired"))
    r.finish()
    return r.function("second_observe", "void", ", i32 %index")


def _drop_origin() -> str:
    """Drop everything that tlbwr has evicted from TLB entry `origin`."""
    r = Routine()
    head = argument(r, "origin") + SECOND_LEVEL_SIZE
    r.emit("br label %look")
    r.block("look")
    following = r.element("second_next", head).zext(32)
    r.branch_if(following.eq(head), "done", "drop")
    r.block("drop")
    r.call_for_effect("second_remove", following)
    r.emit("br label %look")
    r.block("done")
    r.finish()
    return r.function("second_drop_origin", "void", ", i32 %origin")
