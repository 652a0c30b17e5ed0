"""Exceptions, eret, and the current view: what Status, Cause and EntryHi mean for where control goes."""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import Cause, Status
from translator.handler_cpu import address_of_entry
from translator.ir import IrValue
from translator.predecode import ENTRY_SIZE
from translator.state import ExceptionCode, Stop
from translator.system.access_groups import WIDEST
from translator.system.entry_places import lacks_handler
from translator.system.routine import Routine, argument
from translator.system.translate import ALONE, FILLED, REGISTER, STOP, current_space
from translator.system.views import PAGE_SHIFT, SLOT_SHIFT, SPACES_SHIFT, TABLE_SHIFT, VIEW_SHIFT, Level

_GENERAL_OFFSET: Final = 0x180
_INTERRUPT_OFFSET: Final = 0x200
_BOOTSTRAP_BASE: Final = 0xBFC0_0200


def exceptions_ir() -> str:
    """LLVM IR of current_view, enter_exception and the routines that raise and return."""
    return "\n".join(
        [
            _current_view(),
            _enter_exception(),
            _raise(),
            _return(),
            _access_slow(),
            _note_straddling(),
            _proceed_at(),
        ]
    )


def clock_before(r: Routine) -> IrValue:
    """The clock before the instruction at %entry."""
    return r.integer("%next") + argument(r, "bias", 64) - ENTRY_SIZE


def is_delay_slot(r: Routine) -> IrValue:
    """Whether the instruction at %entry is the delay slot of the branch executed last."""
    return r.read("last_branch").eq(r.integer("%entry") - ENTRY_SIZE)


def go_to(r: Routine, routine: str, address: IrValue, clock: IrValue, view: IrValue | None = None) -> None:
    """End here by going to one of the routines that take an address as %entry and the clock as %bias."""
    memory = "%memory" if view is None else r.pointer(view)
    target = r.pointer(address.zext(64))
    r.tail_call(
        routine,
        f"ptr %state, ptr {memory}, ptr %handlers, ptr {target}, ptr %next, i64 {clock.name}",
    )


def go_to_vector(r: Routine, pc: IrValue, in_slot: IrValue, clock: IrValue) -> None:
    """End here with the exception that exception_code, coprocessor and is_refill describe."""
    vector = r.call("enter_exception", 32, pc, in_slot)
    go_to(r, "go_to_address", vector, clock, r.call("current_view", 64))


def _current_view() -> str:
    """i64 current_view(state): the host address of the view; also sets what else follows from the mode."""
    r = Routine()
    status = r.read("status")
    is_kernel = (status & (Status.ERL | Status.EXL)).ne(0) | (status & Status.KSU).eq(0)
    is_user = (status & Status.UM).ne(0)
    level = is_kernel.select(
        r.constant(Level.KERNEL, 32),
        is_user.select(r.constant(Level.USER, 32), r.constant(Level.SUPERVISOR, 32)),
    )
    space = current_space(r)
    r.write("cp0_usable", (is_kernel | (status & Status.CU0).ne(0)).zext(32))
    reaches_registers = is_kernel | (status & Status.KSU).eq(Status.SM)
    is_there = r.read("has_privileged_page").ne(0) & r.read("rewrites_privileged_page").ne(0)
    r.write("privileged_page_usable", (reaches_registers & is_there).zext(32))
    r.write("cp1_usable", (status & Status.CU1).ne(0).zext(32))
    owner = r.read("kernel_half_owner")
    is_stale = owner.ne(0) & owner.ne((r.read("entry_hi") & 0xFF) + 1)
    with r.when(is_stale, unlikely=True):
        r.call_for_effect("zap_kernel_segments")
        r.write("kernel_half_owner", 0)
    r.write("space", space)
    number = (level << SPACES_SHIFT) | space
    view = r.read("views_base") + (number.zext(64) << VIEW_SHIFT)
    r.write("memory_base", view)
    r.give(view)
    return r.function("current_view", "i64", "", "noinline")


def _enter_exception() -> str:
    """i32 enter_exception(state, pc, in_slot): change the registers as the exception does; its vector."""
    r = Routine()
    pc, in_slot = argument(r, "pc"), argument(r, "in_slot")
    status, cause, code = r.read("status"), r.read("cause"), r.read("exception_code")
    is_nested = (status & Status.EXL).ne(0)
    is_interrupt = code.eq(int(ExceptionCode.INT))
    separate = is_interrupt & (cause & Cause.IV).ne(0)
    to_refill = r.read("is_refill").ne(0) & (is_nested ^ 1)
    offset = to_refill.select(
        r.constant(0, 32),
        separate.select(r.constant(_INTERRUPT_OFFSET, 32), r.constant(_GENERAL_OFFSET, 32)),
    )
    with r.when(is_nested ^ 1):
        r.write("epc", pc - (in_slot << 2))
        r.write("cause", (r.read("cause") & ~Cause.BD) | (in_slot << 31))
    is_unusable = code.eq(int(ExceptionCode.CPU))
    with r.when(is_unusable):
        coprocessor = r.read("coprocessor") << Cause.CE_SHIFT
        r.write("cause", (r.read("cause") & ~Cause.CE) | coprocessor)
    r.write("cause", (r.read("cause") & ~Cause.EXC_CODE) | (code << Cause.EXC_CODE_SHIFT))
    r.write("status", status | Status.EXL)
    r.write("is_refill", 0)
    is_bootstrap = (status & Status.BEV).ne(0)
    base = is_bootstrap.select(r.constant(_BOOTSTRAP_BASE, 32), r.read("ebase") & 0xFFFF_F000)
    r.give(base + offset)
    return r.function("enter_exception", "i32", ", i32 %pc, i32 %in_slot", "noinline")


def _raise() -> str:
    """The instruction at %entry raises `exception_code`."""
    r = Routine()
    pc = address_of_entry(r, "%entry")
    go_to_vector(r, pc, is_delay_slot(r).zext(32), clock_before(r))
    return r.routine("raise_exception", "nounwind noinline cold")


def _access_slow() -> str:
    """The access that `access_address` and `access_kind` describe has left the fast path.

    Mostly it has no slot: translate, then do it. Regions also leave where it has one, but others that they check with
    it have none, or another.
    """
    r = Routine()
    address, kind = r.read("access_address"), r.read("access_kind")
    access = kind & 0xFF
    with r.when((address & kind.shift_right(8)).ne(0), unlikely=True):
        is_store = access.ne(0)
        code = is_store.select(r.constant(ExceptionCode.ADES, 32), r.constant(ExceptionCode.ADEL, 32))
        r.write("exception_code", code)
        r.write("bad_virtual_address", address)
        r.write("is_refill", 0)
        r.tail_call("raise_exception")
    slot_at = r.integer("%memory") + (access.zext(64) << TABLE_SHIFT)
    slot = r.load(slot_at + (address.shift_right(PAGE_SHIFT).zext(64) << SLOT_SHIFT), 64)
    with r.when(slot.ne(0)):
        r.call_for_effect("note_straddling", address)
        _do_access(r)
    outcome = r.call("translate", 32, address, access)
    with r.when(outcome.eq(FILLED)):
        _do_access(r)
    with r.when(outcome.eq(STOP)):
        with r.when(r.read("stop").eq(int(Stop.DEVICE))):
            r.tail_call("access_device")
        r.tail_call("leave_at_entry")
    with r.when(outcome.eq(REGISTER)):
        r.tail_call("register_page")
    with r.when(outcome.eq(ALONE)):
        r.tail_call("store_alone")
    r.tail_call("raise_exception")
    return r.routine("access_slow", "nounwind noinline cold")


def _do_access(r: Routine) -> None:
    """A region, or a run, may want more than this one slot: the instruction must get done, or nothing moves on."""
    with r.when(lacks_handler(r, r.integer("%entry"))):
        r.tail_call("execute_in_tier_0")
    r.dispatch(r.integer("%entry"), r.integer("%next"), argument(r, "bias", 64))


def _note_straddling() -> str:
    """A region has been left at an access that has a slot. If that is for others of its group, which lie on another
    page: now and then, ask the run time to put the two side by side.
    """
    r = Routine()
    address = argument(r, "address")
    crossed = (address - WIDEST) ^ (address + WIDEST)
    with r.when(crossed.shift_right(PAGE_SHIFT).eq(0)):
        r.finish()
    left = r.read("straddles_left") - 1
    r.write("straddles_left", left)
    with r.when(left.eq(0)):
        r.write("straddled", address | 1)
        r.write("visit_requested", 1)
        r.write("limit", 0)
    r.finish()
    return r.function("note_straddling", "void", ", i32 %address")


def _return() -> str:
    """eret at %entry."""
    r = Routine()
    status = r.read("status")
    r.write("link_valid", 0)
    clock = clock_before(r) + ENTRY_SIZE
    with r.when((status & Status.ERL).ne(0), unlikely=True):
        r.write("status", status & ~Status.ERL)
        go_to(r, "proceed_at", r.read("error_epc"), clock)
    r.write("status", status & ~Status.EXL)
    go_to(r, "proceed_at", r.read("epc"), clock)
    return r.routine("return_from_exception")


def _proceed_at() -> str:
    """Go on at the address in %entry, where mode, address space or pending interrupts may have changed."""
    r = Routine()
    address, clock = r.integer("%entry").trunc(32), argument(r, "bias", 64)
    status = r.read("status")
    with r.when(r.read("limit").le_unsigned(clock) & must_stop(r, clock), unlikely=True):
        r.write("pc", address)
        r.write("in_delay_slot", 0)
        r.write("clock", clock)
        r.write("stop", Stop.LIMIT)
        r.finish()
    with r.when(r.read("counts_instructions").ne(0), unlikely=True):
        r.call_for_effect("update_timer", clock)
    # Without CU1 nobody sees the registers: other processes' Status.FR may come and go.
    is_wide = (status & Status.FR).ne(0).zext(32)
    is_usable = (status & Status.CU1).ne(0)
    is_other = is_wide.ne(r.read("wide_registers")) | is_wide.ne(r.read("wide_entries"))
    with r.when(is_usable.select(is_other, r.read("is_away").ne(0)), unlikely=True):
        r.write("pc", address)
        r.write("in_delay_slot", 0)
        r.write("clock", clock)
        r.write("stop", Stop.REGISTER_MODE)
        r.finish()
    with r.when(lacks_views(r), unlikely=True):
        r.write("pc", address)
        r.write("in_delay_slot", 0)
        r.write("clock", clock)
        r.write("stop", Stop.NEW_SPACE)
        r.finish()
    with r.when(interrupt_is_due(r, status), unlikely=True):
        r.write("exception_code", ExceptionCode.INT)
        go_to_vector(r, address, r.constant(0, 32), clock)
    go_to(r, "go_to_address", address, clock, r.call("current_view", 64))
    return r.routine("proceed_at")


def lacks_views(r: Routine) -> IrValue:
    """Whether the current address space is used for the first time."""
    return r.element("space_has_views", current_space(r)).eq(0)


def must_stop(r: Routine, clock: IrValue) -> IrValue:
    """Whether native code has been asked to stop, or has come to where it was told to."""
    return r.read("stop_requested").ne(0) | r.read("resume_limit").le_unsigned(clock)


def interrupt_is_due(r: Routine, status: IrValue) -> IrValue:
    """Whether an interrupt is pending and let through."""
    open_levels = Status.IE | Status.EXL | Status.ERL
    pending = (r.read("cause") & status & Cause.IP).ne(0)
    return pending & (status & open_levels).eq(Status.IE)
