"""Mapping and unmapping runs of machine pages, and allocating and releasing them: native, since a page that a virtual
machine reads from a disk is to be mapped in less time than it would take to copy.

They are called with the interpreter's lock held, so that no other Python thread runs meanwhile, and know nothing of the
CPU state; `runtime.system.page_routines` loads them. Addresses of structures are `memory_map`'s.
"""

from __future__ import annotations

from translator.host_memory_flags import MADV_COLLAPSE
from translator.ir import UNLIKELY_METADATA, IrValue
from translator.system.access_counts import access_counts_ir
from translator.system.heat import heat_ir
from translator.system.host_call import HostCall, host_call
from translator.system.memory_map import LARGE_PAGE_SIZE, PLACE_SHIFT
from translator.system.page_routine import VECTOR, VECTOR_SIZE, PageRoutine
from translator.system.routine import argument
from translator.system.shared_pages import shared_pages_ir
from translator.system.stencil_cuts import forget_runs_ir
from translator.system.views import PAGE_SHIFT, PMAP_WRITABLE
from translator.system.windows import hiding_ir
from translator.system.zap import Tables, empty_slots


def page_mapping_ir() -> str:
    """LLVM IR of the module."""
    functions = [
        hiding_ir(),
        _allocate(),
        _release(),
        _link(),
        _unlink(),
        _zap(),
        _allocate_run(),
        _release_run(),
    ]
    functions += [
        _touch_run(),
        _map_run(),
        _unmap_run(),
        _migrate_run(),
        shared_pages_ir(),
        access_counts_ir(),
        heat_ir(),
        forget_runs_ir(),
    ]
    return "\n".join([*functions, UNLIKELY_METADATA])


def _allocate() -> str:
    """i32: the entry of a page with one user, on `node` if there is one, else on the next one; 0 if there is none.

    Dirty ones first: it takes less time to clear them than to have the host give a new one.
    """
    r = PageRoutine()
    nodes = r.get("nodes")
    with r.repeat(nodes) as turn:
        behind = argument(r, "node") + turn
        node = behind.lt_unsigned(nodes).select(behind, behind - nodes)
        for kind in ("dirty", "clean"):
            entry = r.get(kind, node)
            with r.when(entry.ne(0)):
                page = entry - 1
                r.store(r.field_at(kind, node), r.load(r.of_page("heads", page), 32))
                r.store(r.of_page("heads", page), r.constant(0, 32))
                r.store(r.of_page("users", page), r.constant(1, 32))
                r.add("free", -1, node)
                if kind == "dirty":
                    r.add("all_dirty", -1)
                    with r.when(argument(r, "zeroed").ne(0)):
                        _clear(r, r.get("machine_base") + (page.zext(64) << PAGE_SHIFT))
                r.give(entry)
        untouched = r.get("untouched", node)
        with r.when(untouched.lt_unsigned(r.get("node_pages"))):
            r.store(r.field_at("untouched", node), untouched + 1)
            page = node * r.get("node_pages") + untouched
            r.store(r.of_page("users", page), r.constant(1, 32))
            _back_with_large_page(r, r.get("machine_base") + (page.zext(64) << PAGE_SHIFT))
            r.give(page + 1)
    r.give(0)
    return r.function("allocate", "i32", "i64 %map, i32 %node, i32 %zeroed")


def _back_with_large_page(r: PageRoutine, host: IrValue) -> None:
    """If a page is the first of a large one, have the host back that as a whole, if it can: that takes a fifth of the
    time of 512 page faults, and accesses are faster. The host wants some of it to be there.

    Mostly a thread has done so already (`runtime.system.large_pages`); then this is soon done. It is to go on now.
    """
    with r.when((host & LARGE_PAGE_SIZE - 1).eq(0), unlikely=True):
        r.store(host, r.constant(0, 8))
        host_call(r, HostCall.MADVISE, host, LARGE_PAGE_SIZE, MADV_COLLAPSE)
        host_call(r, HostCall.WRITE, r.get("bell").zext(64), r.field_at("ring"), 8)


def _clear(r: PageRoutine, host: IrValue) -> None:
    with r.repeat((1 << PAGE_SHIFT) // VECTOR_SIZE) as turn:
        at = r.pointer(host + (turn.zext(64) * VECTOR_SIZE))
        r.emit(f"store {VECTOR} zeroinitializer, ptr {at}, align {VECTOR_SIZE}")


def _release() -> str:
    """i32: 1 if a page, which has one user less, is free now, or will be when it is not buried any more."""
    r = PageRoutine()
    page = argument(r, "page")
    users = r.load(r.of_page("users", page), 32) - 1
    r.store(r.of_page("users", page), users)
    with r.when(users.ne(0)):
        r.give(0)
    with r.when(r.get("counts").ne(0)):
        r.call_for_effect("forget_counts", r.map, page)
    with r.when(r.code_flags(page).ne(0), unlikely=True):
        r.store(r.of_page("heads", page), r.get("buried"))
        r.store(r.field_at("buried"), page + 1)
        r.give(1)
    node = page.divide_unsigned(r.get("node_pages"))
    r.store(r.of_page("heads", page), r.get("dirty", node))
    r.store(r.field_at("dirty", node), page + 1)
    r.add("free", 1, node)
    r.add("all_dirty", 1)
    r.give(1)
    return r.function("release", "i32", "i64 %map, i32 %page")


def _link() -> str:
    """Note in a page's back map that it is mapped at a place."""
    r = PageRoutine()
    place = argument(r, "place")
    head_at = r.of_page("heads", argument(r, "page"))
    head = r.load(head_at, 32)
    r.store(r.link_at(place), head.zext(64))
    with r.when(head.ne(0)):
        r.store(r.link_at(head) + 4, place)
    r.store(head_at, place)
    r.finish()
    return r.function("link", "void", "i64 %map, i32 %place, i32 %page")


def _unlink() -> str:
    """The opposite."""
    r = PageRoutine()
    at = r.link_at(argument(r, "place"))
    following, previous = r.load(at, 32), r.load(at + 4, 32)
    with r.when(following.ne(0)):
        r.store(r.link_at(following) + 4, previous)
    with r.when(previous.ne(0)):
        r.store(r.link_at(previous), following)
        r.finish()
    r.store(r.of_page("heads", argument(r, "page")), following)
    r.finish()
    return r.function("unlink", "void", "i64 %map, i32 %place, i32 %page")


def _zap() -> str:
    """Empty every slot that leads to a physical page."""
    r = PageRoutine()
    fields = ("slot_records", "slots", "slot_blocks", "windows", "window_places")
    empty_slots(r, argument(r, "head_at", 64), Tables(*map(r.get, fields)))
    return r.function("zap", "void", "i64 %vm, i64 %head_at")


def _allocate_run() -> str:
    """Fill a list with pages of one user each; i32: how many there were."""
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        entry = r.call("allocate", 32, r.map, argument(r, "node"), argument(r, "zeroed"))
        with r.when(entry.eq(0), unlikely=True):
            r.give(turn)
        r.store(argument(r, "entries", 64) + (turn.zext(64) << 2), entry)
    r.give(argument(r, "count"))
    parameters = "i64 %map, i32 %node, i64 %entries, i32 %count, i32 %zeroed"
    return r.function("allocate_run", "i32", parameters)


def _release_run() -> str:
    """Give up the use of the pages of a list, of all or of those with no other user, and empty it so far.

    i32: how many are free now.
    """
    r = PageRoutine()
    freed = r.variable("freed")
    with r.repeat(argument(r, "count")) as turn:
        at = argument(r, "entries", 64) + (turn.zext(64) << 2)
        entry = r.load(at, 32)
        with r.when(entry.ne(0)):
            is_sole = r.load(r.of_page("users", entry - 1), 32).eq(1)
            with r.when(is_sole | argument(r, "only_unused").eq(0)):
                r.store(at, r.constant(0, 32))
                more = r.call("release", 32, r.map, entry - 1)
                freed.add(more)
    r.give(freed.get())
    return r.function("release_run", "i32", "i64 %map, i64 %entries, i32 %count, i32 %only_unused")


def _touch_run() -> str:
    """Give pages of zeros to those physical pages of a run that are memory and have none.

    i32: how many of the run have been looked at before there was no machine page left.
    """
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        is_memory = r.load(r.get("is_memory") + frame.zext(64), 8).ne(0)
        with r.when(is_memory & r.load(r.word_at(frame), 64).eq(0)):
            entry = r.call("allocate", 32, r.map, r.get("node"), r.constant(1, 32))
            with r.when(entry.eq(0), unlikely=True):
                r.give(turn)
            r.enter(frame, entry - 1, r.constant(PMAP_WRITABLE, 64))
    r.give(argument(r, "count"))
    return r.function("touch_run", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _map_run() -> str:
    """Map the pages of a list at a run of physical pages, whatever was mapped there.

    i32: how many of them, before one that is none. The caller uses every page, too, so that none is free in between.
    """
    r = PageRoutine()
    flags = argument(r, "writable").ne(0).select(r.constant(PMAP_WRITABLE, 64), r.constant(0, 64))
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        entry = r.load(argument(r, "entries", 64) + (turn.zext(64) << 2), 32)
        with r.when(entry.eq(0), unlikely=True):
            r.give(turn)
        page = entry - 1
        users_at = r.of_page("users", page)
        word = r.load(r.word_at(frame), 64)
        with r.when(word.ne(0)):
            r.leave(frame, r.machine_page(word))
        r.store(users_at, r.load(users_at, 32) + 1)
        r.enter(frame, page, flags)
    r.give(argument(r, "count"))
    parameters = "i64 %map, i64 %vm, i32 %frame, i64 %entries, i32 %count, i32 %writable"
    return r.function("map_run", "i32", parameters)


def _unmap_run() -> str:
    """Drop what is mapped at a run of physical pages."""
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        word = r.load(r.word_at(frame), 64)
        with r.when(word.ne(0)):
            r.leave(frame, r.machine_page(word))
    r.finish()
    return r.function("unmap_run", "void", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _migrate_run() -> str:
    """Move pages of a list to a node and put there what they are now; i32: how many of the list have been dealt with.

    0 takes the place of those that are more than memory of this one virtual machine's own. Ends where the node is full.
    """
    r = PageRoutine()
    node = argument(r, "node")
    with r.repeat(argument(r, "count")) as turn:
        at = argument(r, "entries", 64) + (turn.zext(64) << 2)
        page = r.load(at, 32) - 1
        r.store(at, r.constant(0, 32))
        frame = r.call("sole_frame", 32, r.map, r.vm, page)
        with r.when(frame.ne(-1)):
            is_full = r.get("free", node).eq(0) & r.get("untouched", node).eq(r.get("node_pages"))
            with r.when(is_full, unlikely=True):
                r.store(at, page + 1)
                r.give(turn)
            fresh = r.call("allocate", 32, r.map, node, r.constant(0, 32)) - 1
            r.copy_contents(page, fresh)
            moves = r.get("moves")
            with r.when(moves.ne(0)):
                before = r.load(moves + page.zext(64), 8)
                r.store(moves + fresh.zext(64), before + before.ne(0xFF).zext(8))
            r.leave(frame, page)
            r.enter(frame, fresh, r.constant(PMAP_WRITABLE, 64))
            r.store(at, fresh + 1)
    r.give(argument(r, "count"))
    parameters = "i64 %map, i64 %vm, i64 %entries, i32 %count, i32 %node"
    return _sole_frame() + r.function("migrate_run", "i32", parameters)


def _sole_frame() -> str:
    """i32: the physical page of a virtual machine that a page is memory of, and of nothing else; -1 if it is more.

    Code may not have been decoded of it, either.
    """
    r = PageRoutine()
    page = argument(r, "page")
    place = r.load(r.of_page("heads", page), 32)
    is_sole = r.load(r.of_page("users", page), 32).eq(1) & r.code_flags(page).eq(0)
    is_here = place.shift_right(PLACE_SHIFT).eq(r.get("first_place").shift_right(PLACE_SHIFT))
    with r.when((is_sole & is_here) ^ 1, unlikely=True):
        r.give(-1)
    frame = place & (1 << PLACE_SHIFT) - 1
    with r.when((r.load(r.word_at(frame), 64) & PMAP_WRITABLE).eq(0), unlikely=True):
        r.give(-1)
    r.give(frame)
    return r.function("sole_frame", "i32", "i64 %map, i64 %vm, i32 %page")
