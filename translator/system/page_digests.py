"""Digests of machine pages, by which pages that hold the same are found: native, as every page has to be read for it.

A digest is a hint: pages of one digest are compared before anything follows from that.
"""

from __future__ import annotations

from typing import Final

from translator.system.routine import Routine, argument
from translator.system.views import PAGE_SHIFT

DIGEST_RUN: Final = "digest_run"
_LANES: Final = 16
_VECTOR: Final = f"<{_LANES} x i32>"
_VECTOR_SIZE: Final = 4 * _LANES
_LANE_FACTOR: Final = 0x9E37_79B1
_FOLD_FACTOR: Final = 0x9E37_79B9_7F4A_7C15
"""Odd numbers of well-mixed bits, from the golden ratio (Knuth, The Art of Computer Programming, section 6.4)."""


def page_digests_ir() -> str:
    """LLVM IR of the module."""
    return "\n".join([_digest(), _digest_run()])


def _digest() -> str:
    """i64: of the page at a host address; never 0. Each lane of a vector is a polynomial of every 16th word."""
    r = Routine()
    factors = ", ".join([f"i32 {_LANE_FACTOR}"] * _LANES)
    ones = ", ".join(["i32 1"] * _LANES)
    sums = r.assign("sums", f"alloca {_VECTOR}, align {_VECTOR_SIZE}")
    r.emit(f"store {_VECTOR} <{ones}>, ptr {sums}, align {_VECTOR_SIZE}")
    with r.repeat((1 << PAGE_SHIFT) // _VECTOR_SIZE) as turn:
        at = r.pointer(argument(r, "host", 64) + turn.zext(64) * _VECTOR_SIZE)
        words = r.assign("words", f"load {_VECTOR}, ptr {at}, align {_VECTOR_SIZE}")
        before = r.assign("before", f"load {_VECTOR}, ptr {sums}, align {_VECTOR_SIZE}")
        added = r.assign("added", f"add {_VECTOR} {before}, {words}")
        product = r.assign("product", f"mul {_VECTOR} {added}, <{factors}>")
        r.emit(f"store {_VECTOR} {product}, ptr {sums}, align {_VECTOR_SIZE}")
    digest = r.constant(1 << PAGE_SHIFT, 64)
    for offset in range(0, _VECTOR_SIZE, 8):
        digest = (digest ^ r.load(r.integer(sums) + offset, 64)) * r.constant(_FOLD_FACTOR, 64)
        digest = digest ^ digest.shift_right(32)
    r.give(digest | 1, 64)
    return f"define internal i64 @digest(i64 %host) nounwind {{\n{_body(r)}\n}}\n"


def _digest_run() -> str:
    """Digests of the machine pages of `count` words of a pmap: of those whose only user that is, and that have not
    changed since they were last looked at. `previous` has 32 bits of the digest from then, or 0; it is brought up to
    date.
    """
    r = Routine()
    with r.repeat(argument(r, "count")) as turn:
        digest_at = argument(r, "digests", 64) + (turn.zext(64) << 3)
        previous_at = argument(r, "previous", 64) + (turn.zext(64) << 2)
        r.store(digest_at, r.constant(0, 64))
        before = r.load(previous_at, 32)
        r.store(previous_at, r.constant(0, 32))
        word = r.load(argument(r, "words", 64) + (turn.zext(64) << 3), 64)
        with r.when(word.ne(0)):
            page = (word - argument(r, "machine_base", 64)).shift_right(PAGE_SHIFT)
            with r.when(r.load(argument(r, "users", 64) + (page << 2), 32).eq(1)):
                host = argument(r, "machine_base", 64) + (page << PAGE_SHIFT)
                digest = r.value("digest", f"call i64 @digest({host.typed()})", 64)
                r.store(previous_at, digest.trunc(32))
                with r.when(digest.trunc(32).eq(before)):
                    r.store(digest_at, digest)
    r.finish()
    parameters = "i64 %words, i32 %count, i64 %machine_base, i64 %users, i64 %previous, i64 %digests"
    return f"define dso_local void @{DIGEST_RUN}({parameters}) nounwind {{\n{_body(r)}\n}}\n"


def _body(r: Routine) -> str:
    return "\n".join(r.lines)
