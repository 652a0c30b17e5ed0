"""How control moves between pages and in and out of native code.

Within a page, entries follow each other as the instructions do, and `entries_base` tells their virtual addresses.
To another page control goes by address: `go_to_address` finds the page's entries in the fetch table. The
routines that take an address have it in %entry and the clock in %bias.
"""

from __future__ import annotations

from collections.abc import Iterator

from translator.handler_cpu import address_of_entry
from translator.ir import IrValue
from translator.native_cpu import CONVENTION
from translator.predecode import (
    COUNTER_OFFSET,
    DECODE_CACHE_BITS,
    DECODE_HASH_MULTIPLIER,
    ELSEWHERE_SHIFT,
    ENTRY_SIZE,
    IMMEDIATE_OFFSET,
    OPERANDS_OFFSET,
)
from translator.state import Access, ExceptionCode, Stop
from translator.system.entry_places import lacks_handler, place_of, word_at
from translator.system.exceptions import (
    clock_before,
    go_to,
    go_to_vector,
    interrupt_is_due,
    is_delay_slot,
    lacks_views,
    must_stop,
)
from translator.system.heat import RUN_HEAT, counter_after, is_noticed
from translator.system.routine import ARGUMENTS, Routine, argument
from translator.system.translate import FILLED, STOP
from translator.system.views import PAGE_SHIFT, SENTINEL, TABLE_SHIFT

LEAVING = [stop for stop in Stop if stop not in (Stop.NONE, Stop.LIMIT, Stop.EXCEPTION, Stop.MEMORY_FAULT)]


_LOOK = ("look_at_events", "look_at_events_in_slot")


def control_ir(big_endian: bool) -> str:
    """LLVM IR of all of them."""
    parts = [_leave(), *(_leave_for(stop) for stop in LEAVING), _check_events()]
    parts += [_look_at_events(in_slot) for in_slot in (False, True)]
    parts += [_go_to_address(), _go_to_slot(), _jump_entry(), _page_end(), _reconsider(), _resume()]
    parts += [_leave_region(name, routine) for name, routine in _REGION_EXITS.items()]
    parts += [_execute_in_tier_0(big_endian), _execute_elsewhere(), _handler_of(big_endian), _warm_branch()]
    parts += [_store_alone(), _stored(), _undecoded(big_endian)]
    return "\n".join(parts)


def _stop_at(r: Routine, address: IrValue, in_slot: bool, clock: IrValue) -> None:
    """Leave native code in front of the instruction at an address; `stop` says why."""
    r.write("pc", address)
    r.write("in_delay_slot", int(in_slot))
    r.write("clock", clock)
    r.finish()


def _leave() -> str:
    """Write pc, clock and delay-slot state for the entry that was not executed, and return; `stop` is set."""
    r = Routine()
    r.write("pc", address_of_entry(r, "%entry"))
    jump_entry = r.field_address("jump_entry")
    with r.when(r.integer("%next").ne(jump_entry)):
        r.write("branch_target", address_of_entry(r, "%next"))
    r.write("clock", clock_before(r))
    r.write("in_delay_slot", is_delay_slot(r).zext(32))
    r.finish()
    return r.routine("leave_at_entry", "nounwind noinline cold")


def _leave_for(stop: Stop) -> str:
    r = Routine()
    r.write("stop", stop)
    r.tail_call("leave_at_entry")
    return r.routine(f"leave_at_entry_{stop.name.lower()}", "nounwind noinline cold")


def _check_events() -> str:
    """In front of an instruction: somebody wanted a look at what is pending."""
    r = Routine()
    clock = clock_before(r)
    r.write("limit", r.read("resume_limit"))
    r.emit("fence seq_cst")
    # Between filling and emptying the lone slot nobody may leave: `stored` has the next instruction look again.
    with r.when(r.integer("%next").eq(r.field_address("stored_entry"))):
        r.tail_call("execute_in_tier_0")
    with r.when(must_stop(r, clock)):
        r.write("stop", Stop.LIMIT)
        r.tail_call("leave_at_entry")
    with r.when(r.read("visit_requested").ne(0)):
        r.tail_call("leave_at_entry_visit")
    r.call_for_effect("update_timer", clock)
    with r.when(interrupt_is_due(r, r.read("status"))):
        r.write("exception_code", ExceptionCode.INT)
        go_to_vector(r, address_of_entry(r, "%entry"), is_delay_slot(r).zext(32), clock)
    r.dispatch(r.integer("%entry"), r.integer("%next"), argument(r, "bias", 64))
    return r.routine("leave_at_entry_limit", "nounwind noinline cold")


def _look_at_events(in_slot: bool) -> str:
    """The same in front of the instruction at an address, before it is fetched."""
    r = Routine()
    address, clock = r.integer("%entry").trunc(32), argument(r, "bias", 64)
    r.write("limit", r.read("resume_limit"))
    r.emit("fence seq_cst")
    with r.when(must_stop(r, clock)):
        r.write("stop", Stop.LIMIT)
        _stop_at(r, address, in_slot, clock)
    with r.when(r.read("visit_requested").ne(0)):
        r.write("stop", Stop.VISIT)
        _stop_at(r, address, in_slot, clock)
    r.call_for_effect("update_timer", clock)
    with r.when(interrupt_is_due(r, r.read("status"))):
        r.write("exception_code", ExceptionCode.INT)
        go_to_vector(r, address, r.constant(int(in_slot), 32), clock)
    go_to(r, "go_to_slot" if in_slot else "go_to_address", address, clock)
    return r.routine(_LOOK[in_slot], "nounwind noinline cold")


def _look_if_due(r: Routine, address: IrValue, in_slot: bool) -> None:
    """Page by page somebody looks: exceptions and eret alone can keep a guest busy for ever."""
    clock = argument(r, "bias", 64)
    with r.when(r.read("limit").le_unsigned(clock), unlikely=True):
        go_to(r, _LOOK[in_slot], address, clock)


def _fetch_slot(r: Routine, address: IrValue) -> IrValue:
    """The slot of an address in the fetch table of the view."""
    page = address.shift_right(PAGE_SHIFT).zext(64)
    table = r.integer("%memory") + (int(Access.FETCH) << TABLE_SHIFT)
    return r.load(table + (page << 3), 64)


def _meet_missing_slot(r: Routine, slot: IrValue, address: IrValue, again: str, in_slot: bool) -> None:
    """If there is no slot: fill it and go to `again`, raise the fetch's exception, or stop."""
    clock = argument(r, "bias", 64)
    with r.when(slot.eq(0), unlikely=True):
        outcome = r.call("translate", 32, address, r.constant(Access.FETCH, 32))
        with r.when(outcome.eq(FILLED)):
            r.tail_call(again)
        with r.when(outcome.eq(STOP)):
            _stop_at(r, address, in_slot, clock)
        go_to_vector(r, address, r.constant(int(in_slot), 32), clock)


def _go_to_address() -> str:
    """Execute the instruction at an address, which is no delay slot."""
    r = Routine()
    address, clock = r.integer("%entry").trunc(32), argument(r, "bias", 64)
    _look_if_due(r, address, in_slot=False)
    with r.when((address & 3).ne(0), unlikely=True):
        r.write("exception_code", ExceptionCode.ADEL)
        r.write("bad_virtual_address", address)
        r.write("is_refill", 0)
        go_to_vector(r, address, r.constant(0, 32), clock)
    slot = _fetch_slot(r, address)
    _meet_missing_slot(r, slot, address, "go_to_address", in_slot=False)
    r.write("entries_base", slot)
    r.write("last_branch", 0)
    entry = slot + (address.zext(64) << 2)
    counter = entry + COUNTER_OFFSET
    count = counter_after(r.load(counter, 32), r.read("heat"))
    r.store(counter, count)
    with r.when(is_noticed(count), unlikely=True):
        with r.when((count & RUN_HEAT).ne(0)):
            r.call_for_effect("make_run", entry)
            r.dispatch(entry, entry + ENTRY_SIZE, clock - entry)
        r.write("hot_target", address)
        r.write("stop", Stop.HOT)
        _stop_at(r, address, False, clock)
    r.dispatch(entry, entry + ENTRY_SIZE, clock - entry)
    return r.routine("go_to_address")


def _go_to_slot() -> str:
    """Execute the delay slot at an address; its branch goes to branch_target."""
    r = Routine()
    address, clock = r.integer("%entry").trunc(32), argument(r, "bias", 64)
    _look_if_due(r, address, in_slot=True)
    slot = _fetch_slot(r, address)
    _meet_missing_slot(r, slot, address, "go_to_slot", in_slot=True)
    r.write("entries_base", slot)
    entry = slot + (address.zext(64) << 2)
    r.write("last_branch", entry - ENTRY_SIZE)
    following = r.field_address("jump_entry")
    bias = clock + ENTRY_SIZE - following
    # A region knows nothing of a branch on the page before.
    with r.when(lacks_handler(r, entry), unlikely=True):
        r.tail_call("execute_in_tier_0", _arguments(r, entry, following, bias))
    r.dispatch(entry, following, bias)
    return r.routine("go_to_slot")


def _jump_entry() -> str:
    """The handler of jump_entry, which is `next` of a delay slot whose branch leaves the page."""
    r = Routine()
    go_to(r, "go_to_address", r.read("branch_target"), clock_before(r))
    return r.routine("jump_to_target")


def _page_end() -> str:
    """The handler of the sentinel: the instruction stands on the next page, perhaps in a delay slot."""
    r = Routine()
    address, clock = address_of_entry(r, "%entry"), clock_before(r)
    with r.when(is_delay_slot(r), unlikely=True):
        with r.when(r.integer("%next").ne(r.field_address("jump_entry"))):
            r.write("branch_target", address_of_entry(r, "%next"))
        go_to(r, "go_to_slot", address, clock)
    go_to(r, "go_to_address", address, clock)
    return r.routine("page_end")


def _reconsider() -> str:
    """In front of the instruction at %entry, after one that may have changed what control depends on."""
    r = Routine()
    is_jump = r.integer("%entry").eq(r.field_address("jump_entry"))
    address = is_jump.select(r.read("branch_target"), address_of_entry(r, "%entry"))
    go_to(r, "proceed_at", address, clock_before(r))
    return r.routine("reconsider")


def _resume() -> str:
    """The handler of resume_entry: go on at pc, where Python has left the CPU state."""
    r = Routine()
    with r.when(lacks_views(r), unlikely=True):
        r.write("stop", Stop.NEW_SPACE)
        r.finish()
    r.emit("%view = call i64 @current_view(ptr %state)")
    view, clock = IrValue(r, "%view", 64), argument(r, "bias", 64)
    with r.when(r.read("in_delay_slot").ne(0)):
        go_to(r, "go_to_slot", r.read("pc"), clock, view)
    go_to(r, "proceed_at", r.read("pc"), clock, view)
    return r.routine("resume")


_REGION_EXITS = {
    "leave_region_access": "access_slow",
    "leave_region_exception": "raise_exception",
    "leave_region_limit": "leave_at_entry_limit",
    "leave_region_fpu_mode": "leave_at_entry_fpu_mode",
}
"""Exit of a region → what its instruction is then done with."""


def _leave_region(name: str, routine: str) -> str:
    """From a region to `routine` for the instruction at the address in %entry (+ 1: in a delay slot)."""
    r = Routine()
    tagged, clock = r.integer("%entry").trunc(32), argument(r, "bias", 64)
    address, in_slot = tagged & ~1, (tagged & 1).ne(0)
    slot = _fetch_slot(r, address)
    go_again = (slot.eq(0)) & (in_slot ^ 1)
    with r.when(go_again, unlikely=True):  # the table has lost the page: start with the fetch
        go_to(r, "go_to_address", address, clock)
    with r.when(slot.eq(0), unlikely=True):
        go_to(r, "go_to_slot", address, clock)
    r.write("entries_base", slot)
    entry = slot + (address.zext(64) << 2)
    r.write("last_branch", in_slot.select(entry - ENTRY_SIZE, r.constant(0, 64)))
    following = in_slot.select(r.field_address("jump_entry"), entry + ENTRY_SIZE)
    bias = clock + ENTRY_SIZE - following
    r.tail_call(routine, _arguments(r, entry, following, bias))
    return r.routine(name, "nounwind noinline cold")


def _arguments(r: Routine, entry: IrValue, following: IrValue, bias: IrValue) -> str:
    """For `Routine.tail_call`: what makes it go to another entry."""
    at, after = r.pointer(entry), r.pointer(following)
    return f"ptr %state, ptr %memory, ptr %handlers, ptr {at}, ptr {after}, i64 {bias.name}"


def _execute_in_tier_0(big_endian: bool) -> str:
    """Execute an entry that runs a region or stencils as the one instruction it was decoded from."""
    r = Routine()
    word = word_at(r, *place_of(r, r.integer("%entry")), big_endian)
    handler = r.call("decode_handler", 32, word)
    with r.when(handler.ne(0)):
        _execute(r, handler)
    for record, is_it in _records(r, word):
        with r.when(is_it):
            _execute(r, r.load(record, 32))
    told = r.read("told_handler")
    with r.when(word.eq(r.read("told_word")) & told.ne(0)):
        _execute(r, told)
    r.tail_call("leave_at_entry_undecoded")
    return r.routine("execute_in_tier_0", "nounwind noinline")


def _warm_branch() -> str:
    """The branch at %entry has made its target, the entry `warm_entry`, warm: have that run stencils, and branch."""
    r = Routine()
    r.call_for_effect("make_run", r.read("warm_entry"))
    r.tail_call("execute_in_tier_0")
    return r.routine("warm_branch", "nounwind noinline cold")


def _handler_of(big_endian: bool) -> str:
    """i32 handler_of(state, entry): the handler offset of an entry's instruction; 0 if the entry is empty, or only
    Python can tell."""
    r = Routine()
    entry = argument(r, "entry", 64)
    handler = r.load(entry, 32)
    with r.when(lacks_handler(r, entry) ^ 1):
        r.give(handler)
    r.give(r.call("decode_handler", 32, word_at(r, *place_of(r, entry), big_endian)))
    return r.function("handler_of", "i32", ", i64 %entry", "noinline")


def _execute_elsewhere() -> str:
    """Execute an entry that has regions, all of them for other pages than this vCPU has there; now and then it is hot.

    Its counter has passed the threshold for those regions already. It grows by one more where the branch that led here
    has counted as well.
    """
    r = Routine()
    counter = r.integer("%entry") + COUNTER_OFFSET
    count = r.load(counter, 32) + 1
    r.store(counter, count)
    with r.when((count & (1 << ELSEWHERE_SHIFT) - 1).lt_unsigned(2) & (is_delay_slot(r) ^ 1), unlikely=True):
        r.write("hot_target", address_of_entry(r, "%entry"))
        r.tail_call("leave_at_entry_hot")
    r.tail_call("execute_in_tier_0")
    return r.routine("execute_elsewhere", "nounwind noinline")


def _store_alone() -> str:
    """Do the store at %entry through a slot that is there for this one instruction."""
    r = Routine()
    r.store(r.read("lone_slot"), r.read("lone_contents"))
    r.write("lone_next", r.integer("%next"))
    stored = r.field_address("stored_entry")
    bias = r.integer("%next") + argument(r, "bias", 64) - stored
    handler = r.load(r.integer("%entry"), 32)  # once: another vCPU may have it run stencils meanwhile
    with r.when(r.read("handlers_end").le_unsigned(handler)):  # and would go on with the slot there
        r.tail_call("execute_in_tier_0", _arguments(r, r.integer("%entry"), stored, bias))
    _execute(r, handler, _arguments(r, r.integer("%entry"), stored, bias))
    return r.routine("store_alone", "nounwind noinline cold")


def _stored() -> str:
    """The handler of stored_entry: take the slot away again, forget the words that may have changed, and go on.

    Forgotten before the store, a store to its own word would have been decoded again from what it overwrites.
    """
    r = Routine()
    r.call_for_effect("cut_run", r.read("lone_entries"))
    r.store(r.read("lone_slot"), r.constant(0, 64))
    r.write("limit", 0)
    following = r.read("lone_next")
    r.dispatch(following, following + ENTRY_SIZE, clock_before(r) - following)
    return r.routine("stored", "nounwind noinline cold")


def _undecoded(big_endian: bool) -> str:
    """Fill the entry from the hash of decoded words and run it; leave if its word is not known."""
    r = Routine()
    machine_page, in_page = place_of(r, r.integer("%entry"))
    # A nullified branch-likely at the end of the page leads one entry further.
    with r.when(r.constant(SENTINEL, 64).le_unsigned(in_page), unlikely=True):
        handler = r.assign("handler", "ptrtoint ptr @page_end to i64")
        offset = IrValue(r, handler, 64) - r.integer("%handlers")
        r.store(r.integer("%entry"), offset.trunc(32))
        r.tail_call("page_end")
    has_entries = r.load(r.read("code_pages") + machine_page, 8).ne(0)
    with r.when(has_entries ^ 1, unlikely=True):
        r.tail_call("leave_at_entry_undecoded")
    word = word_at(r, machine_page, in_page, big_endian)
    with r.when(r.call("fill_entry", 32, word, r.integer("%entry")).ne(0)):
        r.dispatch(r.integer("%entry"), r.integer("%next"), argument(r, "bias", 64))
    for record, is_it in _records(r, word):
        with r.when(is_it):
            for field in (OPERANDS_OFFSET, IMMEDIATE_OFFSET):
                r.store(r.integer("%entry") + field, r.load(record + field, 32))
            r.publish(r.integer("%entry"), r.load(record, 32))
            r.dispatch(r.integer("%entry"), r.integer("%next"), argument(r, "bias", 64))
    r.tail_call("leave_at_entry_undecoded")
    return r.routine("undecoded")


def _execute(r: Routine, handler: IrValue, arguments: str = ARGUMENTS) -> None:
    """End here by executing the entry as the instruction of a handler offset."""
    pointer = r.pointer(r.integer("%handlers") + handler.zext(64))
    r.emit(f"musttail call {CONVENTION} void {pointer}({arguments})")
    r.emit("ret void")


def _records(r: Routine, word: IrValue) -> Iterator[tuple[IrValue, IrValue]]:
    """The two places of a word in the hash of decoded words: address, and whether the word is there."""
    hashed = (word * DECODE_HASH_MULTIPLIER).shift_right(32 - DECODE_CACHE_BITS).zext(64)
    index = hashed * ENTRY_SIZE
    for way in (index, index ^ ENTRY_SIZE):
        record = r.read("decode_cache") + way
        is_same = r.load(record + COUNTER_OFFSET, 32).eq(word)
        yield record, is_same & r.load(record, 32).ne(0)
