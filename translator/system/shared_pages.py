"""Shared pages: copies of them for who stores to one, and shared ones for who has come to hold the same.

Routines of `page_mapping`'s module, and called like those.
"""

from __future__ import annotations

from translator.ir import IrValue
from translator.system.page_routine import VECTOR, VECTOR_SIZE, PageRoutine
from translator.system.routine import argument
from translator.system.views import PAGE_SHIFT, PMAP_WRITABLE


def shared_pages_ir() -> str:
    """LLVM IR of them."""
    parts = [_count_shared(), _copy_page(), _copy_run(), _copy_changed(), _is_same(), _exchange_run()]
    return "\n".join(parts)


def _is_shared(r: PageRoutine, word: IrValue, page: IrValue) -> IrValue:
    """Whether a page has other users than the physical page that a word of pmap is for."""
    has_others = r.constant(1, 32).lt_unsigned(r.load(r.of_page("users", page), 32))
    return has_others & (word & PMAP_WRITABLE).eq(0)


def _count_shared() -> str:
    """i32: how many of a run of physical pages have a machine page with other users, too."""
    r = PageRoutine()
    counted = r.variable("counted")
    with r.repeat(argument(r, "count")) as turn:
        word = r.load(r.word_at(argument(r, "frame") + turn), 64)
        with r.when(word.ne(0)):
            users = r.load(r.of_page("users", r.machine_page(word)), 32)
            counted.add(r.constant(1, 32).lt_unsigned(users).zext(32))
    r.give(counted.get())
    return r.function("count_shared", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


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
        with r.when(r.call("copy_page", 32, r.map, r.vm, frame, page).eq(0), unlikely=True):
            r.give(turn)
    r.give(argument(r, "count"))
    return r.function("copy_run", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _copy_page() -> str:
    """Give a copy of its own to a physical page whose page others use, too; i32: 0 if there is no page left."""
    r = PageRoutine()
    frame, page = argument(r, "frame"), argument(r, "page")
    entry = r.call("allocate", 32, r.map, r.get("node"), r.constant(0, 32))
    with r.when(entry.ne(0)):
        r.copy_contents(page, entry - 1)
        r.leave(frame, page)
        r.enter(frame, entry - 1, r.constant(PMAP_WRITABLE, 64))
        r.store(r.of_frame("copied_at", frame), page + 1)
    r.give(entry)
    return r.function("copy_page", "i32", "i64 %map, i64 %vm, i32 %frame, i32 %page")


def _copy_changed() -> str:
    """Give copies of their own to those of a run of physical pages that share pages with others, one of whom has stored
    to the same page there; i32: how many. Not where the page is what that has become at last.
    """
    r = PageRoutine()
    copied = r.variable("copied")
    with r.repeat(argument(r, "count")) as turn:
        frame = argument(r, "frame") + turn
        shared, word = r.load(r.of_frame("copied_at", frame), 32), r.load(r.word_at(frame), 64)
        with r.when(shared.ne(0) & word.ne(0)):
            page = r.machine_page(word)
            is_frozen = r.load(r.of_frame("frozen_at", frame), 32).eq(page + 1)
            with r.when(_is_shared(r, word, page) & shared.eq(page + 1) & (is_frozen ^ 1)):
                more = r.call("copy_page", 32, r.map, r.vm, frame, page).ne(0).zext(32)
                copied.add(more)
    r.give(copied.get())
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
            with r.when(is_own & is_near), r.when(r.call("is_same", 32, r.map, page, frozen - 1).ne(0)):
                users_at = r.of_page("users", frozen - 1)
                r.store(users_at, r.load(users_at, 32) + 1)
                r.leave(frame, page)
                r.enter(frame, frozen - 1, r.constant(0, 64))
    r.finish()
    return r.function("exchange_run", "void", "i64 %map, i64 %vm, i32 %frame, i32 %count")


def _is_same() -> str:
    """i32: whether two pages hold the same."""
    r = PageRoutine()
    base = r.get("machine_base")
    hosts = [base + (argument(r, name).zext(64) << PAGE_SHIFT) for name in ("page", "other")]
    with r.repeat((1 << PAGE_SHIFT) // VECTOR_SIZE) as turn:
        pointers = [r.pointer(host + turn.zext(64) * VECTOR_SIZE) for host in hosts]
        one, other = (
            r.assign("loaded", f"load {VECTOR}, ptr {pointer}, align {VECTOR_SIZE}") for pointer in pointers
        )
        differ = r.assign("differ", f"icmp ne {VECTOR} {one}, {other}")
        with r.when(r.value("lanes", f"bitcast <8 x i1> {differ} to i8", 8).ne(0), unlikely=True):
            r.give(0)
    r.give(1)
    return r.function("is_same", "i32", "i64 %map, i32 %page, i32 %other")
