"""Windows: user programs' pages mapped in host memory at one distance from their virtual addresses.

Regions of user code do not look into the tables. Every address space has a window, 4 GiB of host addresses of which
nothing is mapped at first; an access goes to window + address, and the host's fault says where there is no page. Each
such access is the last instruction of its block, with a place to go to, its *fixup*, if it faults (`windowed_access`).
The fault's handler looks into the tables: a page that has a slot is mapped in the window, too, and the access done
again; else control goes to the fixup, which leaves the region, as without windows, in front of the access.

So windows hold no more than the tables say. Whatever empties a slot of a page that is in a window, as a word for each
page notes, takes it out. Pages of the kernel half are in no window: tier 0 does those accesses.
"""

from __future__ import annotations

from typing import Final

from translator.host_memory_flags import (
    MADV_DONTNEED,
    MAP_FIXED,
    MAP_POPULATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)
from translator.ir import IrValue
from translator.state import OFFSET, Access, FaultAnswer
from translator.system.host_call import MAP_NOTHING, HostCall, host_call
from translator.system.routine import Routine, argument
from translator.system.views import (
    BLOCK_IN_WINDOW,
    BLOCK_SHIFT,
    HALF_SHIFT,
    PAGE_SHIFT,
    SLOT_SHIFT,
    SPACES,
    SPACES_SHIFT,
    TABLES,
    VIEW_SHIFT,
)

GUARD_SIZE: Final = 1 << 16
"""Between windows: larger than the displacements, which are added in 64 bits."""
WINDOW_DISTANCE: Final = (1 << 32) + GUARD_SIZE
"""From the window of one address space to that of the next."""
WINDOWS_SIZE: Final = SPACES * WINDOW_DISTANCE
PLACES_SIZE: Final = SPACES << HALF_SHIFT + 3
"""Of the *places*: for each page of all user halves a word for what the window has there, 0 for nothing: host address
of the machine page, with the host's protection, and HIDDEN if it has been taken out since. The count of the words that
are not 0 stands in front."""
COUNT_SIZE: Final = 8
HIDDEN: Final = 4
"""The place is protected from every access. Mostly the same page comes back: that takes a third of mapping it anew."""


def windows_ir() -> str:
    """LLVM IR of `window_fault` and its parts."""
    return "\n".join([_window_fault(), _map_in_window(), _slot_if_filled()])


def window_lines() -> list[str]:
    """Lines of a region's beginning: %window, that of the view in %memory."""

    def field(name: str, field_name: str) -> list[str]:
        return [
            f"  {name}.at = getelementptr i8, ptr %state, i64 {OFFSET[field_name]}",
            f"  {name} = load i64, ptr {name}.at",
        ]

    return [
        *field("%windows", "windows_base"),
        *field("%views", "views_base"),
        "  %view = ptrtoint ptr %memory to i64",
        "  %view.distance = sub i64 %view, %views",
        f"  %view.number = lshr i64 %view.distance, {VIEW_SHIFT}",
        f"  %view.space = and i64 %view.number, {(1 << SPACES_SHIFT) - 1}",
        f"  %window.distance = mul i64 %view.space, {WINDOW_DISTANCE}",
        "  %window.address = add i64 %windows, %window.distance",
        "  %window = inttoptr i64 %window.address to ptr",
    ]


def _window_fault() -> str:
    """i64: where to go on after a fault at host address `at` of the instruction at `host_pc`, or a FaultAnswer."""
    r = Routine()
    offset = argument(r, "host_pc", 64) - r.read("handlers_base")
    with r.when(offset.lt_unsigned(r.read("arena_size")) ^ 1):
        r.give(FaultAnswer.NOT_OURS, 64)
    fixup = r.load(r.read("fixups") + (offset.shift_right(1) << 2), 32)
    with r.when(fixup.eq(0)):
        r.give(FaultAnswer.NOT_OURS, 64)
    r.increment("window_faults")
    target = argument(r, "host_pc", 64) + fixup.sext(64)
    distance = argument(r, "at", 64) - r.read("windows_base")
    with r.when(distance.lt_unsigned(WINDOWS_SIZE) ^ 1):
        r.give(target, 64)
    space = distance.divide_unsigned(WINDOW_DISTANCE)
    page = (distance - space * WINDOW_DISTANCE).shift_right(PAGE_SHIFT).trunc(32)
    with r.when(page.lt_unsigned(1 << HALF_SHIFT) ^ 1):
        r.give(target, 64)
    is_store = argument(r, "is_store").ne(0)
    slots = [r.call("slot_if_filled", 64, number) for number in _numbers(space.trunc(32), page)]
    with r.when(is_store.select(slots[1], slots[0]).eq(0)):
        r.write("window_wanted", _key(space.trunc(32), page))
        r.give(target, 64)
    with r.when(r.call("map_in_window", 32, space, page, *slots, is_store.zext(32)).eq(0), unlikely=True):
        r.give(target, 64)
    r.give(FaultAnswer.AGAIN, 64)
    return r.function("window_fault", "i64", ", i64 %host_pc, i64 %at, i32 %is_store", "noinline")


def _numbers(space: IrValue, page: IrValue) -> tuple[IrValue, IrValue]:
    """Of the slots of a user page for loads and stores."""
    first = (space * TABLES << HALF_SHIFT) | page
    return first + (int(Access.LOAD) << HALF_SHIFT), first + (int(Access.STORE) << HALF_SHIFT)


def _key(space: IrValue, page: IrValue) -> IrValue:
    """What a user page is known by in `window_wanted`: not 0."""
    return (space << HALF_SHIFT | page) + 1


def map_if_wanted(r: Routine, space: IrValue, address: IrValue, contents: IrValue, kind: IrValue) -> None:
    """Emit that a slot of the user half, which has just been filled with `contents`, is what a window wants."""
    page = address.shift_right(PAGE_SHIFT)
    with r.when(r.read("window_wanted").eq(_key(space, page)), unlikely=True):
        r.write("window_wanted", 0)
        is_store = kind.eq(int(Access.STORE))
        _, store_number = _numbers(space, page)
        store_slot = is_store.select(contents, r.call("slot_if_filled", 64, store_number))
        r.call("map_in_window", 32, space.zext(64), page, contents, store_slot, is_store.zext(32))


def _map_in_window() -> str:
    """i32 map_in_window: whether the host lets a user page be accessed in its window, whose slots are given."""
    r = Routine()
    space, page, store_slot = argument(r, "space", 64), argument(r, "page"), argument(r, "store_slot", 64)
    slot = argument(r, "is_store").ne(0).select(store_slot, argument(r, "load_slot", 64))
    protection = store_slot.eq(slot).select(r.constant(PROT_READ | PROT_WRITE, 64), r.constant(PROT_READ, 64))
    address = page.zext(64) << PAGE_SHIFT
    place_at = _place_at(r.read("window_places"), space, page.zext(64))
    at = r.read("windows_base") + space * WINDOW_DISTANCE + address
    place, host = r.load(place_at, 64), slot + address
    for number in _numbers(space.trunc(32), page):
        block_at = r.read("slot_blocks") + number.shift_right(BLOCK_SHIFT).zext(64)
        r.store(block_at, r.load(block_at, 8) | BLOCK_IN_WINDOW)
    r.increment("window_fills")
    with r.when((place & -1 << PAGE_SHIFT).eq(host)):
        r.store(place_at, host | protection)
        changed = host_call(r, HostCall.MPROTECT, at, 1 << PAGE_SHIFT, protection)
        r.give(changed.eq(0).zext(32))
    count_at = r.read("window_places") - COUNT_SIZE
    with r.when(r.load(count_at, 64).lt_unsigned(r.read("windows_most")) ^ 1, unlikely=True):
        windows, places = r.read("windows_base"), r.read("window_places")
        r.emit(f"call void @drop_windows({windows.typed()}, {places.typed()})")
    descriptor, offset = r.read("memory_descriptor").zext(64), host - r.read("machine_base")
    how = MAP_SHARED | MAP_FIXED | MAP_POPULATE
    result = host_call(r, HostCall.MMAP, at, 1 << PAGE_SHIFT, protection, how, descriptor, offset)
    with r.when(result.ne(at), unlikely=True):
        r.give(0)
    r.store(count_at, r.load(count_at, 64) + r.load(place_at, 64).eq(0).zext(64))
    r.store(place_at, host | protection)
    r.give(1)
    parameters = ", i64 %space, i32 %page, i64 %load_slot, i64 %store_slot, i32 %is_store"
    return r.function("map_in_window", "i32", parameters)


def _slot_if_filled() -> str:
    """i64: a slot, which is not read if its block has not been filled (`zap.py`)."""
    r = Routine()
    number = argument(r, "number")
    with r.when(r.load(r.read("slot_blocks") + number.shift_right(BLOCK_SHIFT).zext(64), 8).eq(0)):
        r.give(0, 64)
    r.give(r.load(r.read("slots_base") + (number.zext(64) << SLOT_SHIFT), 64), 64)
    return r.function("slot_if_filled", "i64", ", i32 %number")


def _drop_windows() -> str:
    """Take everything out of all windows."""
    r = Routine()
    windows, places = argument(r, "windows", 64), argument(r, "places", 64)
    host_call(r, HostCall.MMAP, windows, WINDOWS_SIZE, PROT_NONE, MAP_NOTHING, -1, 0)
    host_call(r, HostCall.MADVISE, places, PLACES_SIZE, MADV_DONTNEED)
    r.store(places - COUNT_SIZE, r.constant(0, 64))
    r.finish()
    return _function("drop_windows", "i64 %windows, i64 %places", r)


def _function(name: str, parameters: str, r: Routine) -> str:
    """A function without the CPU state: not everybody who empties slots knows that."""
    body = "\n".join(r.lines)
    return f"define internal void @{name}({parameters}) nounwind noinline cold {{\n{body}\n}}\n"


def hiding_ir() -> str:
    """LLVM IR of `hide_in_window` and `drop_windows`, for whoever empties slots."""
    return "\n".join([_hide_in_window(), _drop_windows()])


def _hide_in_window() -> str:
    """Take those of `count` pages out of their window whose slots have been emptied, from slot `number` on."""
    r = Routine()
    number, windows, places = argument(r, "number"), argument(r, "windows", 64), argument(r, "places", 64)
    space = number.shift_right(HALF_SHIFT).divide_unsigned(TABLES).zext(64)
    first = (number & (1 << HALF_SHIFT) - 1).zext(64)
    run = r.assign("run", "alloca i64")  # visible pages so far, next to each other
    r.emit(f"store i64 0, ptr {run}")
    window = windows + space * WINDOW_DISTANCE

    def protect(end: IrValue) -> None:
        """Protect the run before a page."""
        length = r.value("length", f"load i64, ptr {run}", 64)
        with r.when(length.ne(0)):
            at = window + ((end - length) << PAGE_SHIFT)
            failed = host_call(r, HostCall.MPROTECT, at, length << PAGE_SHIFT, PROT_NONE).ne(0)
            # It would have had to divide a mapping, of which there are too many.
            with r.when(failed, unlikely=True):
                r.emit(f"call void @drop_windows({windows.typed()}, {places.typed()})")
            r.emit(f"store i64 0, ptr {run}")

    with r.repeat(argument(r, "count")) as turn:
        page = first + turn.zext(64)
        place_at = _place_at(places, space, page)
        place = r.load(place_at, 64)
        is_hidden = place.eq(0) | (place & HIDDEN).ne(0)
        with r.when(is_hidden ^ 1):
            r.store(place_at, place | HIDDEN)
            r.emit(f"store {(r.value('length', f'load i64, ptr {run}', 64) + 1).typed()}, ptr {run}")
        with r.when(is_hidden):
            protect(page)
    protect(first + argument(r, "count").zext(64))
    r.finish()
    return _function("hide_in_window", "i32 %number, i32 %count, i64 %windows, i64 %places", r)


def hide_in_window(r: Routine, number: IrValue, count: IrValue, windows: IrValue, places: IrValue) -> None:
    """Emit the call."""
    r.emit(
        f"call void @hide_in_window({number.typed()}, {count.typed()}, {windows.typed()}, {places.typed()})"
    )


def _place_at(places: IrValue, space: IrValue, page: IrValue) -> IrValue:
    return places + (((space << HALF_SHIFT) | page) << 3)
