"""The TLB as the architecture has it, and its instructions. Overlapping entries: the lowest index wins."""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import EntryLo
from translator.ir import IrValue
from translator.state import OFFSET, TLB_SIZE
from translator.system.routine import Routine, argument
from translator.system.second_level import GLOBAL, ORIGIN_UNKNOWN
from translator.system.views import HALF_SHIFT, PAGE_SHIFT, SPACES, TABLES

_LANES: Final = 16
_VPN2: Final = 0xFFFF_E000
_PAGE_MASK: Final = 0x1FFF_E000
_PROBE_FAILED: Final = 1 << 31


def tlb_ir() -> str:
    """LLVM IR of tlb_match, of the four instructions, and of what drops translations from the tables."""
    return "\n".join(
        [
            _match("tlb_match", 0xFFFF_FFFF),
            _match("tlb_match_in_any_space", _VPN2),
            _probe(),
            _read(),
            _write_indexed(),
            _write_random(),
            _is_overlapped(),
            _write(),
            _zap(),
        ]
    )


def _match(name: str, mask: int) -> str:
    """i64 `name`(state, key): bit i is set if entry i matches VPN2 | ASID in the bits of `mask`."""
    r = Routine()
    vector, bits = f"<{_LANES} x i32>", f"<{_LANES} x i1>"
    first = r.assign("first", f"insertelement {vector} poison, i32 %key, i32 0")
    zeros = f"<{_LANES} x i32> zeroinitializer"
    keys = r.assign("keys", f"shufflevector {vector} {first}, {vector} poison, {zeros}")
    masks = f"<{', '.join([f'i32 {mask}'] * _LANES)}>"
    matches = r.constant(0, 64)
    for start in range(0, TLB_SIZE, _LANES):
        loaded = []
        for field in ("tlb_hi", "tlb_compared"):
            at = r.assign("at", f"getelementptr i8, ptr %state, i64 {OFFSET[field] + 4 * start}")
            loaded.append(r.assign(field, f"load {vector}, ptr {at}, align 4"))
        different = r.assign("different", f"xor {vector} {keys}, {loaded[0]}")
        relevant = r.assign("relevant", f"and {vector} {different}, {loaded[1]}")
        masked = r.assign("masked", f"and {vector} {relevant}, {masks}")
        equal = r.assign("equal", f"icmp eq {vector} {masked}, zeroinitializer")
        part = r.value("part", f"bitcast {bits} {equal} to i{_LANES}", _LANES)
        matches = matches | part.zext(64) << start
    r.emit(f"ret {matches.typed()}")
    return r.function(name, "i64", ", i32 %key", "noinline")


def _first(r: Routine, matches: IrValue) -> IrValue:
    return r.value("index", f"call i64 @llvm.cttz.i64(i64 {matches.name}, i1 true)", 64).trunc(32)


def _probe() -> str:
    """After a probe the guest knows what is in the TLB: the second level must not know better."""
    r = Routine()
    key = r.read("entry_hi") & (_VPN2 | 0xFF)
    matches = r.call("tlb_match", 64, key)
    with r.when(matches.ne(0)):
        index = _first(r, matches)
        r.write("index", index)
        r.call_for_effect("second_observe", index)
        r.finish()
    r.write("index", r.read("index") | _PROBE_FAILED)
    r.call_for_effect("second_drop", key)
    r.finish()
    return r.function("tlb_probe", "void", ", i64 %clock")


def _read() -> str:
    r = Routine()
    index = r.read("index") & r.read("tlb_last")
    r.call_for_effect("second_observe", index)
    r.write("entry_hi", r.element("tlb_hi", index) & (_VPN2 | 0xFF))
    r.write("page_mask", (r.element("tlb_compared", index) ^ -1) & _PAGE_MASK)
    r.write("entry_lo0", r.element("tlb_lo0", index))
    r.write("entry_lo1", r.element("tlb_lo1", index))
    r.finish()
    return r.function("tlb_read", "void", ", i64 %clock")


def _write_indexed() -> str:
    """Whatever was at this index once is gone now, and the guest knows it."""
    r = Routine()
    index = r.read("index") & r.read("tlb_last")
    r.call_for_effect("second_observe", index)
    r.call_for_effect("tlb_zap", *_entry(r, index))
    r.call_for_effect("tlb_write", index)
    r.finish()
    return r.function("tlb_write_indexed", "void", ", i64 %clock")


def _write_random() -> str:
    """The entry at Random goes to the second level, if the guest cannot know that it was this one."""
    r = Routine()
    random, last = r.read("random"), r.read("tlb_last")
    hi, compared = _entry(r, random)
    is_small = (compared & _VPN2).eq(_VPN2)
    is_used = (hi & 0x1F00).eq(0)
    outside_fixed_segments = hi.shift_right(30).ne(2)
    kept = is_small & is_used & outside_fixed_segments & r.read("random_read").eq(0)
    bit = r.constant(1, 64) << random.zext(64)
    known = r.read("tlb_known")
    origin = (known & bit).ne(0).select(random, r.constant(ORIGIN_UNKNOWN, 32))
    r.write("tlb_known", known & (bit ^ -1))
    insert, drop, write = r.label("insert"), r.label("drop"), r.label("write")
    r.branch_if(kept, insert, drop)
    r.block(insert)
    is_global = (compared & 0xFF).eq(0)
    key = is_global.select((hi & _VPN2) | GLOBAL, hi)
    r.call_for_effect(
        "second_insert", key, r.element("tlb_lo0", random), r.element("tlb_lo1", random), origin
    )
    # What an overlapping entry translates now, this one has translated before.
    r.branch_if(r.call("tlb_is_overlapped", 1, random), drop, write, unlikely=True)
    r.block(drop)
    r.call_for_effect("tlb_zap", hi, compared)
    r.emit(f"br label %{write}")
    r.block(write)
    with r.when(r.read("random_read").ne(0), unlikely=True):
        r.call_for_effect("second_observe", random)
    r.write("random_read", 0)
    r.call_for_effect("tlb_write", random)
    # Random steps at each tlbwr, through the entries that are not wired.
    at_end = random.le_unsigned(r.read("wired"))
    r.write("random", at_end.select(last, random - 1))
    r.finish()
    return r.function("tlb_write_random", "void", ", i64 %clock")


def _is_overlapped() -> str:
    """i1: whether an entry other than `index`, which is for a small page, translates some of its addresses."""
    r = Routine()
    index = argument(r, "index")
    hi, compared = _entry(r, index)
    others = (r.constant(1, 64) << index.zext(64)) ^ -1
    with r.when((compared & 0xFF).eq(0)):
        r.give((r.call("tlb_match_in_any_space", 64, hi) & others).ne(0), 1)
    r.give((r.call("tlb_match", 64, hi) & others).ne(0), 1)
    return r.function("tlb_is_overlapped", "i1", ", i32 %index")


def _entry(r: Routine, index: IrValue) -> tuple[IrValue, IrValue]:
    return r.element("tlb_hi", index), r.element("tlb_compared", index)


def _write() -> str:
    """EntryHi, PageMask, EntryLo0 and EntryLo1 → entry `index`."""
    r = Routine()
    index = argument(r, "index")
    page_mask = r.read("page_mask") & _PAGE_MASK
    low0, low1 = r.read("entry_lo0"), r.read("entry_lo1")
    shared = low0 & low1 & EntryLo.G
    hi = r.read("entry_hi") & (_VPN2 | 0xFF) & ~page_mask
    compared = (~page_mask & _VPN2) | shared.ne(0).select(r.constant(0, 32), r.constant(0xFF, 32))
    r.call_for_effect("second_drop", hi)
    r.set_element("tlb_hi", index, hi)
    r.set_element("tlb_compared", index, compared)
    r.set_element("tlb_lo0", index, low0 & ~EntryLo.G | shared)
    r.set_element("tlb_lo1", index, low1 & ~EntryLo.G | shared)
    r.call_for_effect("tlb_zap", hi, compared)
    r.finish()
    return r.function("tlb_write", "void", ", i32 %index")


def _zap() -> str:
    """Empty all slots that an entry may have filled."""
    r = Routine()
    hi, compared = argument(r, "hi"), argument(r, "compared")
    with r.when(hi.shift_right(30).eq(2) | (hi & 0x1F00).ne(0)):  # never translates anything
        r.finish()
    pages = (((compared ^ -1) & _PAGE_MASK) | 0x1FFF).shift_right(PAGE_SHIFT) + 1
    page = hi.shift_right(PAGE_SHIFT) & (1 << HALF_SHIFT) - 2
    is_global = (compared & 0xFF).eq(0)
    with r.when(hi.lt_signed(0)):
        _zap_half(r, r.constant(SPACES, 32), page, pages)
        r.finish()
    with r.when(is_global):
        with r.repeat(SPACES - 1) as space:
            _zap_half(r, space, page, pages)
        r.finish()
    _zap_half(r, hi & 0xFF, page, pages)
    r.finish()
    return r.function("tlb_zap", "void", ", i32 %hi, i32 %compared")


def _zap_half(r: Routine, half: IrValue, page: IrValue, pages: IrValue) -> None:
    with r.repeat(TABLES) as table:
        r.call_for_effect("zap_slots", ((half * TABLES + table) << HALF_SHIFT) | page, pages)
