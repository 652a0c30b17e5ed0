"""Mapping and unmapping runs of machine pages, and allocating and releasing them: native, since a page that a virtual
machine reads from a disk is to be mapped in less time than it would take to copy.

They are called with the interpreter's lock held, so that no other Python thread runs meanwhile, and know nothing of the
CPU state; `runtime.system.page_routines` loads them. Addresses of structures are `memory_map`'s.
"""

from __future__ import annotations

from typing import Final

from translator.host_memory_flags import MADV_COLLAPSE
from translator.ir import UNLIKELY_METADATA, IrValue
from translator.system.access_counts import access_counts_ir
from translator.system.heat import heat_ir
from translator.system.host_call import HostCall, host_call
from translator.system.memory_map import LARGE_PAGE_SIZE, PLACE_SHIFT, Option
from translator.system.page_routine import PageRoutine
from translator.system.routine import Routine, argument
from translator.system.stencil_cuts import forget_runs_ir
from translator.system.views import PAGE_SHIFT, PMAP_WRITABLE
from translator.system.windows import hiding_ir
from translator.system.zap import Tables, empty_slots

_VECTOR: Final = "<8 x i64>"
_VECTOR_SIZE: Final = 64


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
        _copy_page(),
        _copy_run(),
        _copy_changed(),
        _is_same(),
        _exchange_run(),
        _count_shared(),
        access_counts_ir(),
        heat_ir(),
        forget_runs_ir(),
    ]
    return "\n".join([*functions, UNLIKELY_METADATA])


def _map(r: Routine) -> IrValue:
    return argument(r, "map", 64)


def _vm(r: Routine) -> IrValue:
    return argument(r, "vm", 64)


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
    with r.repeat((1 << PAGE_SHIFT) // _VECTOR_SIZE) as turn:
        at = r.pointer(host + (turn.zext(64) * _VECTOR_SIZE))
        r.emit(f"store {_VECTOR} zeroinitializer, ptr {at}, align {_VECTOR_SIZE}")


def _release() -> str:
    """i32: 1 if a page, which has one user less, is free now, or will be when it is not buried any more."""
    r = PageRoutine()
    page = argument(r, "page")
    users = r.load(r.of_page("users", page), 32) - 1
    r.store(r.of_page("users", page), users)
    with r.when(users.ne(0)):
        r.give(0)
    with r.when(r.get("counts").ne(0)):
        r.call_for_effect("forget_counts", _map(r), page)
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
        entry = r.call("allocate", 32, _map(r), argument(r, "node"), argument(r, "zeroed"))
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
    freed = r.assign("freed", "alloca i32")
    r.emit(f"store i32 0, ptr {freed}")
    with r.repeat(argument(r, "count")) as turn:
        at = argument(r, "entries", 64) + (turn.zext(64) << 2)
        entry = r.load(at, 32)
        with r.when(entry.ne(0)):
            is_sole = r.load(r.of_page("users", entry - 1), 32).eq(1)
            with r.when(is_sole | argument(r, "only_unused").eq(0)):
                r.store(at, r.constant(0, 32))
                more = r.call("release", 32, _map(r), entry - 1)
                so_far = r.value("so_far", f"load i32, ptr {freed}", 32)
                r.emit(f"store {(so_far + more).typed()}, ptr {freed}")
    r.give(r.value("so_far", f"load i32, ptr {freed}", 32))
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
            entry = r.call("allocate", 32, _map(r), r.get("node"), r.constant(1, 32))
            with r.when(entry.eq(0), unlikely=True):
                r.give(turn)
            _enter(r, frame, entry - 1, r.constant(PMAP_WRITABLE, 64))
    r.give(argument(r, "count"))
    return r.function("touch_run", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _enter(r: PageRoutine, frame: IrValue, page: IrValue, flags: IrValue) -> None:
    """Map a page at a physical page that has none."""
    host = r.get("machine_base") + (page.zext(64) << PAGE_SHIFT)
    r.store(r.word_at(frame), host | flags)
    r.call_for_effect("link", _map(r), r.get("first_place") | frame, page)
    r.add("mapped", 1)


def _leave(r: PageRoutine, frame: IrValue, page: IrValue) -> None:
    """Drop the mapping of a page at a physical page, and the translations to it."""
    heads = r.get("slot_heads")
    with r.when(heads.ne(0)):
        head_at = heads + (frame.zext(64) << 2)
        with r.when(r.load(head_at, 32).ne(0)):
            r.call_for_effect("zap", _vm(r), head_at)
    r.store(r.word_at(frame), r.constant(0, 64))
    r.call_for_effect("unlink", _map(r), r.get("first_place") | frame, page)
    r.call("release", 32, _map(r), page)
    r.add("mapped", -1)


def _map_run() -> str:
    """Map the pages of a list at a run of physical pages, whatever was mapped there, as `options` say.

    i32: how many of them, before one that is none. The caller uses every page, too, so that none is free in between.
    """
    r = PageRoutine()
    options = argument(r, "options")
    flags = (options & Option.WRITABLE).ne(0).select(r.constant(PMAP_WRITABLE, 64), r.constant(0, 64))
    more = (options & Option.GIVEN).eq(0).zext(32)
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        entry = r.load(argument(r, "entries", 64) + (turn.zext(64) << 2), 32)
        with r.when(entry.eq(0), unlikely=True):
            r.give(turn)
        page = entry - 1
        users_at = r.of_page("users", page)
        word = r.load(r.word_at(frame), 64)
        with r.when(word.ne(0)):
            _leave(r, frame, r.machine_page(word))
        r.store(users_at, r.load(users_at, 32) + more)
        _enter(r, frame, page, flags)
    r.give(argument(r, "count"))
    parameters = "i64 %map, i64 %vm, i32 %frame, i64 %entries, i32 %count, i32 %options"
    return r.function("map_run", "i32", parameters)


def _unmap_run() -> str:
    """Drop what is mapped at a run of physical pages."""
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        word = r.load(r.word_at(frame), 64)
        with r.when(word.ne(0)):
            _leave(r, frame, r.machine_page(word))
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
        frame = r.call("sole_frame", 32, _map(r), _vm(r), page)
        with r.when(frame.ne(-1)):
            is_full = r.get("free", node).eq(0) & r.get("untouched", node).eq(r.get("node_pages"))
            with r.when(is_full, unlikely=True):
                r.store(at, page + 1)
                r.give(turn)
            fresh = r.call("allocate", 32, _map(r), node, r.constant(0, 32)) - 1
            _copy(r, page, fresh)
            moves = r.get("moves")
            with r.when(moves.ne(0)):
                before = r.load(moves + page.zext(64), 8)
                r.store(moves + fresh.zext(64), before + before.ne(0xFF).zext(8))
            _leave(r, frame, page)
            _enter(r, frame, fresh, r.constant(PMAP_WRITABLE, 64))
            r.store(at, fresh + 1)
    r.give(argument(r, "count"))
    parameters = "i64 %map, i64 %vm, i64 %entries, i32 %count, i32 %node"
    return _sole_frame() + r.function("migrate_run", "i32", parameters)


def _copy_run() -> str:
    """Give copies of their own to a run of physical pages whose pages others use, too.

    i32: how many of them, before one that is something else, or has code decoded, or before there is no page left.
    """
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        word = r.load(r.word_at(frame), 64)
        with r.when(word.eq(0)):
            r.give(turn)
        page = r.machine_page(word)
        is_data = _is_shared(r, word, page) & r.code_flags(page).eq(0)
        with r.when(is_data ^ 1):
            r.give(turn)
        with r.when(r.call("copy_page", 32, _map(r), _vm(r), frame, page).eq(0), unlikely=True):
            r.give(turn)
    r.give(argument(r, "count"))
    return r.function("copy_run", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _is_shared(r: PageRoutine, word: IrValue, page: IrValue) -> IrValue:
    """Whether a page has other users than the physical page that a word of pmap is for."""
    has_others = r.constant(1, 32).lt_unsigned(r.load(r.of_page("users", page), 32))
    return has_others & (word & PMAP_WRITABLE).eq(0)


def _copy_page() -> str:
    """Give a copy of its own to a physical page whose page others use, too; i32: 0 if there is no page left."""
    r = PageRoutine()
    frame, page = argument(r, "frame"), argument(r, "page")
    entry = r.call("allocate", 32, _map(r), r.get("node"), r.constant(0, 32))
    with r.when(entry.ne(0)):
        _copy(r, page, entry - 1)
        _leave(r, frame, page)
        _enter(r, frame, entry - 1, r.constant(PMAP_WRITABLE, 64))
        r.store(r.of_frame("copied_at", frame), page + 1)
    r.give(entry)
    return r.function("copy_page", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %page")


def _copy_changed() -> str:
    """Give copies of their own to those of a run of physical pages that share pages with others, one of whom has stored
    to the same page there; i32: how many. Not where the page is what that has become at last.
    """
    r = PageRoutine()
    copied = r.assign("copied", "alloca i32")
    r.emit(f"store i32 0, ptr {copied}")
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        shared, word = r.load(r.of_frame("copied_at", frame), 32), r.load(r.word_at(frame), 64)
        with r.when(shared.ne(0) & word.ne(0)):
            page = r.machine_page(word)
            is_frozen = r.load(r.of_frame("frozen_at", frame), 32).eq(page + 1)
            with r.when(_is_shared(r, word, page) & shared.eq(page + 1) & (is_frozen ^ 1)):
                more = r.call("copy_page", 32, _map(r), _vm(r), frame, page).ne(0).zext(32)
                so_far = r.value("so_far", f"load i32, ptr {copied}", 32)
                r.emit(f"store {(so_far + more).typed()}, ptr {copied}")
    r.give(r.value("so_far", f"load i32, ptr {copied}", 32))
    return r.function("copy_changed", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _exchange_run() -> str:
    """Map the frozen pages that some virtual machine has had code in at a run of physical pages, where those hold the
    same in pages of their own: read-only, whether they have been executed or not. Only pages of the own node.
    """
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        frozen, word = r.load(r.of_frame("frozen_at", frame), 32), r.load(r.word_at(frame), 64)
        with r.when(frozen.ne(0) & (word & PMAP_WRITABLE).ne(0)):
            page = r.machine_page(word)
            is_own = r.load(r.of_page("users", page), 32).eq(1) & r.code_flags(page).eq(0)
            is_near = (frozen - 1).divide_unsigned(r.get("node_pages")).eq(r.get("node"))
            with r.when(is_own & is_near), r.when(r.call("is_same", 32, _map(r), page, frozen - 1).ne(0)):
                users_at = r.of_page("users", frozen - 1)
                r.store(users_at, r.load(users_at, 32) + 1)
                _leave(r, frame, page)
                _enter(r, frame, frozen - 1, r.constant(0, 64))
    r.finish()
    return r.function("exchange_run", "void", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _is_same() -> str:
    """i32: whether two pages hold the same."""
    r = PageRoutine()
    base = r.get("machine_base")
    hosts = [base + (argument(r, name).zext(64) << PAGE_SHIFT) for name in ("page", "other")]
    with r.repeat((1 << PAGE_SHIFT) // _VECTOR_SIZE) as turn:
        pointers = [r.pointer(host + turn.zext(64) * _VECTOR_SIZE) for host in hosts]
        one, other = (
            r.assign("loaded", f"load {_VECTOR}, ptr {pointer}, align {_VECTOR_SIZE}") for pointer in pointers
        )
        differ = r.assign("differ", f"icmp ne {_VECTOR} {one}, {other}")
        with r.when(r.value("lanes", f"bitcast <8 x i1> {differ} to i8", 8).ne(0), unlikely=True):
            r.give(0)
    r.give(1)
    return r.function("is_same", "i32", "i64 %map, i32 %page, i32 %other")


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


def _copy(r: PageRoutine, page: IrValue, fresh: IrValue) -> None:
    """What is on a page to another."""
    base = r.get("machine_base")
    source, target = (base + (number.zext(64) << PAGE_SHIFT) for number in (page, fresh))
    with r.repeat((1 << PAGE_SHIFT) // _VECTOR_SIZE) as turn:
        offset = turn.zext(64) * _VECTOR_SIZE
        loaded = r.assign("loaded", f"load {_VECTOR}, ptr {r.pointer(source + offset)}, align {_VECTOR_SIZE}")
        r.emit(f"store {_VECTOR} {loaded}, ptr {r.pointer(target + offset)}, align {_VECTOR_SIZE}")


def _count_shared() -> str:
    """i32: how many of a run of physical pages have a machine page with other users, too."""
    r = PageRoutine()
    counted = r.assign("counted", "alloca i32")
    r.emit(f"store i32 0, ptr {counted}")
    with r.repeat(argument(r, "count")) as turn:
        word = r.load(r.word_at(argument(r, "frame") + turn), 64)
        with r.when(word.ne(0)):
            users = r.load(r.of_page("users", r.machine_page(word)), 32)
            is_shared = r.constant(1, 32).lt_unsigned(users).zext(32)
            so_far = r.value("so_far", f"load i32, ptr {counted}", 32)
            r.emit(f"store {(so_far + is_shared).typed()}, ptr {counted}")
    r.give(r.value("so_far", f"load i32, ptr {counted}", 32))
    return r.function("count_shared", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")
