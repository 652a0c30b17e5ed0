"""Address translation off the fast path: segments, TLB, second-level TLB, pmap, and the slot that remembers it.

The function `translate` answers `FILLED`, `EXCEPTION` (exception_code and what the handler sees are set), or
`STOP` (`stop` and access_physical are), `ALONE`: this one store may be done, to a page that holds code, or `REGISTER`:
the access goes to the privileged-register page.
"""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import EntryLo, Status
from translator.ir import IrValue
from translator.state import Access, ExceptionCode, Stop
from translator.system.access_counts import count_access_ir
from translator.system.routine import Routine, argument
from translator.system.views import (
    BLOCK_FILLED,
    BLOCK_SHIFT,
    ENTRIES_SHIFT,
    HALF_SHIFT,
    MACHINE_CODE,
    MACHINE_REGIONS,
    PAGE_SHIFT,
    PMAP_WRITABLE,
    PRIVILEGED_PAGE,
    SPACE_UNMAPPED,
    SPACES,
    TABLES,
)
from translator.system.windows import map_if_wanted

FILLED: Final = 0
EXCEPTION: Final = 1
STOP: Final = 2
ALONE: Final = 3
REGISTER: Final = 4

_CHAIN_LOOKED_AT: Final = 16
"""Records of a page that are compared before another one for the same slot is made."""


def translate_ir() -> str:
    """LLVM IR of `translate` and its parts."""
    parts = [_translate(), _translate_mapped(), _note_kernel_half_owner()]
    return "\n".join([*parts, _fill(), count_access_ir(), _store_to_code(), _record(), _fault()])


def _kind_is(kind: IrValue, access: Access) -> IrValue:
    return kind.eq(int(access))


def _translate() -> str:
    """i32 translate(state, address, kind)."""
    r = Routine()
    address, kind = argument(r, "address"), argument(r, "kind")
    r.write("access_address", address)
    status = r.read("status")
    is_kernel = (status & (Status.ERL | Status.EXL)).ne(0) | (status & Status.KSU).eq(0)
    is_supervisor = (status & Status.KSU).eq(Status.SM)
    in_user_half = address.lt_signed(0) ^ 1
    in_supervisor_segment = is_supervisor & address.shift_right(29).eq(6)
    on_page = (address & -1 << PAGE_SHIFT).eq(PRIVILEGED_PAGE) & r.read("has_privileged_page").ne(0)
    reaches_registers = on_page & _kind_is(kind, Access.FETCH).eq(0) & (is_kernel | is_supervisor)
    allowed = is_kernel | in_user_half | in_supervisor_segment | reaches_registers
    with r.when(allowed ^ 1, unlikely=True):
        code = _kind_is(kind, Access.STORE).select(
            r.constant(ExceptionCode.ADES, 32), r.constant(ExceptionCode.ADEL, 32)
        )
        r.write("exception_code", code)
        r.write("bad_virtual_address", address)
        r.write("is_refill", 0)
        r.give(EXCEPTION)
    with r.when(address.shift_right(30).eq(2)):  # KSEG0 and KSEG1
        physical = address & 0x1FFF_FFFF
        r.give(r.call("fill", 32, address, physical, kind))
    with r.when(in_user_half & (status & Status.ERL).ne(0), unlikely=True):
        r.give(r.call("fill", 32, address, address, kind))
    with r.when(reaches_registers, unlikely=True):
        with r.when(r.read("privileged_page_usable").ne(0)):
            r.give(REGISTER)
        r.write("stop", Stop.PRIVILEGED_PAGE)
        r.give(STOP)
    r.give(r.call("translate_mapped", 32, address, kind))
    return r.function("translate", "i32", ", i32 %address, i32 %kind", "noinline")


def _translate_mapped() -> str:
    """Through the TLB; a second-level entry serves only where it raises no exception."""
    r = Routine()
    address, kind = argument(r, "address"), argument(r, "kind")
    is_store = _kind_is(kind, Access.STORE)
    key = (address & 0xFFFF_E000) | (r.read("entry_hi") & 0xFF)
    with r.when(address.lt_signed(0), unlikely=True):
        r.call_for_effect("note_kernel_half_owner", key)
    matches = r.call("tlb_match", 64, key)
    with r.when(matches.ne(0)):
        index = r.value("index", f"call i64 @llvm.cttz.i64(i64 {matches.name}, i1 true)", 64).trunc(32)
        compared = r.element("tlb_compared", index)
        offset_mask = ((compared ^ -1) & 0x1FFF_E000 | 0x1FFF).shift_right(1)
        is_odd = (address & (offset_mask + 1)).ne(0)
        low = is_odd.select(r.element("tlb_lo1", index), r.element("tlb_lo0", index))
        with r.when((low & EntryLo.V).eq(0), unlikely=True):
            code = is_store.select(r.constant(ExceptionCode.TLBS, 32), r.constant(ExceptionCode.TLBL, 32))
            r.call_for_effect("translation_fault", address, code, r.constant(0, 32))
            r.give(EXCEPTION)
        with r.when(is_store & (low & EntryLo.D).eq(0), unlikely=True):
            r.call_for_effect(
                "translation_fault", address, r.constant(ExceptionCode.MOD, 32), r.constant(0, 32)
            )
            r.give(EXCEPTION)
        frame = ((low & -1 << EntryLo.PFN_SHIFT) << PAGE_SHIFT - EntryLo.PFN_SHIFT) & ~offset_mask
        r.give(r.call("fill", 32, address, frame | (address & offset_mask), kind))
    found = r.call("second_find", 32, key)
    with r.when(found.le_signed(-1) ^ 1):
        is_odd = (address & 1 << PAGE_SHIFT).ne(0)
        low = is_odd.select(r.element("second_lo1", found), r.element("second_lo0", found))
        needed = is_store.select(r.constant(EntryLo.V | EntryLo.D, 32), r.constant(EntryLo.V, 32))
        with r.when((low & needed).eq(needed)):
            r.increment("second_hits")
            frame = (low & -1 << EntryLo.PFN_SHIFT) << PAGE_SHIFT - EntryLo.PFN_SHIFT
            r.give(r.call("fill", 32, address, frame | (address & 0xFFF), kind))
    r.increment("refills")
    code = is_store.select(r.constant(ExceptionCode.TLBS, 32), r.constant(ExceptionCode.TLBL, 32))
    r.call_for_effect("translation_fault", address, code, r.constant(1, 32))
    r.give(EXCEPTION)
    return r.function("translate_mapped", "i32", ", i32 %address, i32 %kind")


def _note_kernel_half_owner() -> str:
    """All address spaces share the slots of the kernel half, unless an entry of one space has a say in them."""
    r = Routine()
    key = argument(r, "key")
    shared = r.call("tlb_match", 64, key) & r.call("tlb_match", 64, key ^ 0xFF)
    local = r.call("tlb_match_in_any_space", 64, key) & (shared ^ -1)
    is_kept_locally = r.call("second_find_exactly", 32, key).ne(-1)
    with r.when(local.ne(0) | is_kept_locally):
        r.write("kernel_half_owner", (key & 0xFF) + 1)
    r.finish()
    return r.function("note_kernel_half_owner", "void", ", i32 %key", "noinline")


def _fault() -> str:
    """What a TLB exception leaves in the registers (MIPS32 PRA vol. III, 6.2.9 to 6.2.11)."""
    r = Routine()
    address = argument(r, "address")
    r.write("exception_code", argument(r, "code"))
    r.write("is_refill", argument(r, "refill"))
    r.write("bad_virtual_address", address)
    r.write("context", (r.read("context") & 0xFF80_000F) | address.shift_right(9) & 0x007F_FFF0)
    r.write("entry_hi", (r.read("entry_hi") & 0xFF) | address & 0xFFFF_E000)
    r.finish()
    return r.function("translation_fault", "void", ", i32 %address, i32 %code, i32 %refill")


def _fill() -> str:
    """Enter address → physical in the table of `kind`, unless the machine page has to be dealt with first."""
    r = Routine()
    address, physical, kind = argument(r, "address"), argument(r, "physical"), argument(r, "kind")
    is_store, is_fetch = _kind_is(kind, Access.STORE), _kind_is(kind, Access.FETCH)
    r.write("access_physical", physical)
    frame = physical.shift_right(PAGE_SHIFT)
    word = r.load(r.read("pmap") + (frame.zext(64) << 3), 64)
    with r.when(word.eq(0), unlikely=True):
        elsewhere = is_fetch.select(r.constant(Stop.FETCH_ELSEWHERE, 32), r.constant(Stop.DEVICE, 32))
        r.write("stop", elsewhere)
        r.give(STOP)
    page = word & -1 << PAGE_SHIFT
    machine_page = (page - r.read("machine_base")).shift_right(PAGE_SHIFT)
    flags = r.load(r.read("machine_flags") + machine_page, 8)
    holds_code = (flags & MACHINE_CODE).ne(0)
    with r.when(is_store & (word & PMAP_WRITABLE).eq(0), unlikely=True):
        r.write("stop", Stop.COPY_ON_WRITE)
        r.give(STOP)
    with r.when(is_store & holds_code, unlikely=True):
        r.give(r.call("store_to_code", 32, address, page))
    has_entries = r.load(r.read("code_pages") + machine_page, 8).ne(0)
    with r.when(is_fetch & (has_entries ^ 1), unlikely=True):
        r.write("stop", Stop.NEW_CODE)
        r.give(STOP)
    virtual_page = (address & -1 << PAGE_SHIFT).zext(64)
    entries = r.read("page_entries_base") + (machine_page << ENTRIES_SHIFT) - (virtual_page << 2)
    contents = is_fetch.select(entries, page - virtual_page)
    slot = _slot_number(r, address, kind)
    with r.when(r.call("record_slot", 32, frame, slot).ne(0), unlikely=True):
        r.write("stop", Stop.BACK_MAP_FULL)
        r.give(STOP)
    r.store(r.read("slots_base") + (slot.zext(64) << 3), contents)
    block_at = r.read("slot_blocks") + slot.shift_right(BLOCK_SHIFT).zext(64)
    r.store(block_at, r.load(block_at, 8) | BLOCK_FILLED)
    r.increment("fills")
    with r.when(r.read("access_counts").ne(0)):
        r.call_for_effect("count_access", machine_page, is_store.zext(32))
    with r.when(r.read("window_wanted").ne(0) & (address.lt_signed(0) ^ 1) & (is_fetch ^ 1), unlikely=True):
        map_if_wanted(r, current_space(r), address, contents, kind)
    r.give(FILLED)
    return r.function("fill", "i32", ", i32 %address, i32 %physical, i32 %kind")


def _store_to_code() -> str:
    """A store to machine page `page`, which holds decoded code: `stored` will forget the words it may change.

    Each page has a budget of such stores, after which it is rather data, and Python decides.
    """
    r = Routine()
    address, page = argument(r, "address"), argument(r, "page", 64)
    machine_page = (page - r.read("machine_base")).shift_right(PAGE_SHIFT)
    budget_at = r.read("machine_store_budget") + (machine_page << 1)
    budget = r.load(budget_at, 16)
    flags = r.load(r.read("machine_flags") + machine_page, 8)
    is_foreign = r.load(r.read("code_pages") + machine_page, 8).eq(0)  # its entries are of another variant
    with r.when(budget.eq(0) | (flags & MACHINE_REGIONS).ne(0) | is_foreign, unlikely=True):
        r.write("stop", Stop.STORE_TO_CODE)
        r.give(STOP)
    r.store(budget_at, budget - 1)
    offset = (address & 0xFF8).zext(64)
    entries = r.read("page_entries_base") + (machine_page << ENTRIES_SHIFT) + (offset << 2)
    r.write("lone_entries", entries)
    slot = _slot_number(r, address, r.constant(Access.STORE, 32))
    r.write("lone_slot", r.read("slots_base") + (slot.zext(64) << 3))
    r.write("lone_contents", page - (address & -1 << PAGE_SHIFT).zext(64))
    r.give(ALONE)
    return r.function("store_to_code", "i32", ", i32 %address, i64 %page")


def current_space(r: Routine) -> IrValue:
    """The number of the address space that Status and EntryHi stand for."""
    is_erl = (r.read("status") & Status.ERL).ne(0)
    return is_erl.select(r.constant(SPACE_UNMAPPED, 32), r.read("entry_hi") & 0xFF)


def _slot_number(r: Routine, address: IrValue, kind: IrValue) -> IrValue:
    """In the linear mapping."""
    half = address.lt_signed(0).select(r.constant(SPACES, 32), current_space(r))
    page = address.shift_right(PAGE_SHIFT) & (1 << HALF_SHIFT) - 1
    return ((half * TABLES + kind) << HALF_SHIFT) | page


def _record() -> str:
    """Note in the back map that `slot` leads to physical page `frame`; 1 if there is no room."""
    r = Routine()
    frame, slot = argument(r, "frame"), argument(r, "slot")
    records = r.read("back_map_records")
    head_at = r.read("back_map_heads") + (frame.zext(64) << 2)
    head = r.load(head_at, 32)
    r.emit("br label %look")
    r.block("look")
    r.emit(f"%number = phi i32 [ {head.name}, %0 ], [ %number.next, %other ]")
    r.emit("%turn = phi i32 [ 0, %0 ], [ %turn.next, %other ]")
    number, turn = IrValue(r, "%number", 32), IrValue(r, "%turn", 32)
    r.branch_if(number.eq(0) | turn.eq(_CHAIN_LOOKED_AT), "new", "compare")
    r.block("compare")
    record_at = records + (number.zext(64) << 3)
    r.branch_if(r.load(record_at + 4, 32).eq(slot), "known", "other")
    r.block("other")
    r.emit(f"%number.next = load i32, ptr {r.pointer(record_at)}")
    r.emit("%turn.next = add i32 %turn, 1")
    r.emit("br label %look")
    r.block("known")
    r.give(0)
    r.block("new")
    used = r.read("back_map_used")
    with r.when(used.eq(r.read("back_map_size")), unlikely=True):
        r.give(1)
    r.write("back_map_used", used + 1)
    new_at = records + (used.zext(64) << 3)
    r.store(new_at, head)
    r.store(new_at + 4, slot)
    r.store(head_at, used)
    r.give(0)
    return r.function("record_slot", "i32", ", i32 %frame, i32 %slot")
