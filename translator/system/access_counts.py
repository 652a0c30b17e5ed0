"""Accesses sampled by machine page and node: counted where a table is filled, halved now and then, and searched.

A page's counts on a node are two bytes: fills for loads and fetches, and fills for stores. Tables are aged
(`aging`), so that what is in use is filled again and again.
"""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.system.memory_map import COUNT_SHIFT
from translator.system.page_routine import PageRoutine
from translator.system.routine import Routine, Variable, argument

_MOST: Final = 0xFF
_CHUNK_SHIFT: Final = 2
"""Pages whose counts are looked at together, a 64-bit word."""
_LOW_BITS: Final = 0x7F7F_7F7F_7F7F_7F7F


def count_access_ir() -> str:
    """LLVM IR of count_access, which is part of a vCPU's routines: a table is filled with a machine page."""
    r = Routine()
    page, kind_is_store = argument(r, "page", 64), argument(r, "is_store")
    at = r.read("access_counts") + (page << COUNT_SHIFT) + kind_is_store.zext(64)
    count = r.load(at, 8)
    r.store(at, count + count.ne(_MOST).zext(8))
    r.increment("samples")
    is_local = (page - r.read("node_first_page")).lt_unsigned(r.read("node_pages"))
    r.write("local_samples", r.read("local_samples") + is_local.zext(64))
    r.finish()
    return r.function("count_access", "void", ", i64 %page, i32 %is_store")


def access_counts_ir() -> str:
    """LLVM IR of what is done to the counts of all pages."""
    return "\n".join([_forget_counts(), _accesses(), _hot_pages(), _halve()])


def _count_at(r: PageRoutine, node: IrValue, page: IrValue) -> IrValue:
    return r.get("counts") + node.zext(64) * r.get("counts_size") + (page.zext(64) << COUNT_SHIFT)


def _forget_counts() -> str:
    """A page is free, or is to prove itself once more."""
    r = PageRoutine()
    page = argument(r, "page")
    with r.repeat(r.get("nodes")) as node:
        r.store(_count_at(r, node, page), r.constant(0, 16))
    r.store(r.get("moves") + page.zext(64), r.constant(0, 8))
    r.finish()
    return r.function("forget_counts", "void", "i64 %map, i32 %page")


def _accesses() -> str:
    """i32: sampled accesses to a page of all nodes but its own."""
    r = PageRoutine()
    page = argument(r, "page")
    home = page.divide_unsigned(r.get("node_pages"))
    total = r.variable("total")
    with r.repeat(r.get("nodes")) as node, r.when(node.ne(home)):
        at = _count_at(r, node, page)
        total.add(r.load(at, 8).zext(32) + r.load(at + 1, 8).zext(32))
    r.give(total.get())
    return r.function("remote_accesses", "i32", "i64 %map, i32 %page")


def _hot_pages() -> str:
    """i32: how many pages have been entered in a list, of those with `trigger` accesses from other nodes or more."""
    r = PageRoutine()
    found, chunk_counts = r.variable("found"), r.variable("chunk_counts", 64)
    with r.repeat(r.get("nodes")) as home:
        first, touched = home * r.get("node_pages"), r.get("untouched", home)
        with r.when(touched.ne(0)):
            first_chunk = first.shift_right(_CHUNK_SHIFT)
            chunks = (first + touched + (1 << _CHUNK_SHIFT) - 1).shift_right(_CHUNK_SHIFT) - first_chunk
            with r.repeat(chunks) as turn:
                chunk_page = first_chunk + turn << _CHUNK_SHIFT
                chunk_counts.set(r.constant(0, 64))
                with r.repeat(r.get("nodes")) as node, r.when(node.ne(home)):
                    counts = r.load(_count_at(r, node, chunk_page), 64)
                    chunk_counts.set(chunk_counts.get() | counts)
                with r.when(chunk_counts.get().ne(0)):
                    _enter_hot(r, chunk_page, first, touched, found)
    r.give(found.get())
    return r.function("hot_pages", "i32", "i64 %map, i64 %entries, i32 %most, i32 %trigger")


def _enter_hot(
    r: PageRoutine, chunk_page: IrValue, first: IrValue, touched: IrValue, found: Variable
) -> None:
    """Those of a chunk of pages that are hot, and among the `touched` ones of a node."""
    with r.repeat(1 << _CHUNK_SHIFT) as number:
        page = chunk_page + number
        with r.when((page - first).lt_unsigned(touched)):
            accesses = r.call("remote_accesses", 32, r.map, page)
            with r.when(accesses.lt_unsigned(argument(r, "trigger")) ^ 1):
                so_far = found.get()
                with r.when(so_far.eq(argument(r, "most"))):
                    r.give(so_far)
                r.store(argument(r, "entries", 64) + (so_far.zext(64) << 2), page + 1)
                found.set(so_far + 1)


def _halve() -> str:
    """Every byte of so many 64-bit words."""
    r = PageRoutine()
    with r.repeat(argument(r, "count")) as turn:
        at = argument(r, "bytes", 64) + (turn.zext(64) << 3)
        word = r.load(at, 64)
        with r.when(word.ne(0)):
            r.store(at, word.shift_right(1) & _LOW_BITS)
    r.give(0)
    return r.function("halve_bytes", "i32", "i64 %bytes, i32 %count")
