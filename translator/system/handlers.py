"""Tier 0 in system mode: the handlers of every instruction, privileged ones included, and their routines."""

from __future__ import annotations

from typing import Final

from translator.algebra import SystemOperation
from translator.encoding import ENCODINGS, Encoding
from translator.float_routines import float_declarations, float_routines_ir
from translator.handler_cpu import HandlerCpu, address_of_entry
from translator.handlers import (
    DECLARATIONS,
    ENTER_IR,
    FIRST_HANDLER_IR,
    function,
    instruction_handler,
    raising_handler,
    stopping_handler,
)
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.native_cpu import field_pointer, load_field, store_field
from translator.predecode import (
    COUNTER_OFFSET,
    ENTRY_SIZE,
    LAST_TARGET_OFFSET,
    coprocessor_unusable_symbol,
    reserved_in_coprocessor_symbol,
)
from translator.state import Access, ExceptionCode, Stop
from translator.system.aging import aging_ir
from translator.system.control import control_ir
from translator.system.coprocessor import needs_coprocessor_1
from translator.system.decoding import decoding_ir
from translator.system.direct_registers import direct_registers_ir
from translator.system.exceptions import exceptions_ir
from translator.system.heat import RUN_HEAT, counter_after, is_noticed, is_reported_earlier
from translator.system.register_page import register_page_ir
from translator.system.routine import ARGUMENTS
from translator.system.second_level import second_level_ir
from translator.system.stencil_cuts import cut_run_ir
from translator.system.stencil_runs import stencil_runs_ir
from translator.system.table_access import TableAccess
from translator.system.timer import timer_ir
from translator.system.tlb import tlb_ir
from translator.system.translate import translate_ir
from translator.system.windows import windows_ir
from translator.system.zap import zap_ir

_ENTRIES_OF_PAGE: Final = 1 << 14
"""Bytes."""
_TIMED = (
    SystemOperation.UPDATE_TIMER,
    SystemOperation.WRITE_COUNT,
    SystemOperation.WRITE_COMPARE,
    SystemOperation.STOP_OR_START_COUNT,
)


class SystemHandlerCpu(HandlerCpu):
    """Memory through the tables of the view in %memory; control by address from page to page."""

    system = True

    def __init__(
        self, builder: FunctionBuilder, big_endian: bool, encoding: Encoding | None, *, profiles: bool = False
    ) -> None:
        super().__init__(builder, big_endian, encoding, profiles=profiles)
        self.begin()
        self.tables = TableAccess(builder, "%memory", big_endian, self._leave_for_access)
        self.access = self.tables
        self._reconsiders = False
        if encoding is not None and needs_coprocessor_1(encoding):
            self.require_coprocessor(1)

    def begin(self) -> None:
        """Before anything of the instruction is done."""

    def report_faults_at(self, address: IrValue) -> None:
        self.tables.reported = address

    def touch(self, address: IrValue) -> None:
        self.tables.touch(address)

    def _leave_for_access(self, address: IrValue, kind: Access, size: int) -> None:
        store_field(self.builder, "access_address", address.typed())
        store_field(self.builder, "access_kind", f"i32 {int(kind) | (size - 1) << 8}")
        self._tail_call("access_slow")

    def _tail_call(self, routine: str, arguments: str = ARGUMENTS) -> None:
        self.builder.emit(f"musttail call preserve_nonecc void @{routine}({arguments})")
        self.builder.emit("ret void")

    def after_access(self) -> None:
        """No host fault looks for the arguments."""

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        store_field(self.builder, "exception_code", f"i32 {int(code)}")
        store_field(self.builder, "coprocessor", f"i32 {coprocessor}")
        self._tail_call("raise_exception")

    # Control.

    def jump(self, target: IrValue) -> None:
        note = self.builder.assign("note", f"getelementptr i8, ptr %entry, i64 {LAST_TARGET_OFFSET}")
        self.builder.emit(f"store {target.typed()}, ptr {note}")
        self._go_by_address(target)

    def jump_in_segment(self, index: IrValue) -> None:
        segment = address_of_entry(self.builder, "%entry", displacement=ENTRY_SIZE) & 0xF000_0000
        self._go_by_address(segment | index)

    def _clock_after(self) -> IrValue:
        slot = IrValue(self.builder, self.builder.assign("slot", "ptrtoint ptr %next to i64"), 64)
        return slot + IrValue(self.builder, "%bias", 64)

    def _check_limit(self) -> IrValue:
        clock = self._clock_after()
        limit = IrValue(self.builder, load_field(self.builder, "limit", "i64"), 64)
        self._stop_if(limit.le_unsigned(clock), Stop.LIMIT)
        return clock

    def _go_by_address(self, target: IrValue) -> None:
        self.ended = True
        clock = self._check_limit()
        self._jump_by_address(target, clock)

    def _jump_by_address(self, target: IrValue, clock: IrValue) -> None:
        builder = self.builder
        store_field(builder, "branch_target", target.typed())
        store_field(builder, "last_branch", "ptr %entry")
        following = field_pointer(builder, "jump_entry")
        position = IrValue(builder, builder.assign("goal", f"ptrtoint ptr {following} to i64"), 64)
        bias = clock + ENTRY_SIZE - position
        self._go_on("%next", following, bias.name)

    def _go_to(self, target: str, counted: bool = True) -> None:
        """A taken branch: within the page by entry, else by address."""
        builder = self.builder
        self.ended = True
        clock = self._check_limit()
        position = IrValue(builder, builder.assign("position", "ptrtoint ptr %entry to i64"), 64)
        goal = IrValue(builder, builder.assign("goal", f"ptrtoint ptr {target} to i64"), 64)
        near, far = builder.label("near"), builder.label("far")
        # Off the page; or to its own delay slot, which is executed again then and is none.
        distance = (position + ENTRY_SIZE) ^ goal
        is_far = (distance - 1).lt_unsigned(_ENTRIES_OF_PAGE - 1) ^ 1
        builder.branch_if(is_far, far, near, unlikely=True)
        builder.block(far)
        self._jump_by_address(address_of_entry(builder, target), clock)
        builder.block(near)
        pointer = builder.assign("at", f"getelementptr i8, ptr {target}, i64 {COUNTER_OFFSET}")
        count = counter_after(builder.value("count", f"load i32, ptr {pointer}", 32), self.read("heat"))
        builder.emit(f"store {count.typed()}, ptr {pointer}")
        noticed, go_on = builder.label("noticed"), builder.label("go_on")
        builder.branch_if(is_noticed(count), noticed, go_on, unlikely=True)
        builder.block(noticed)
        hot, warm = builder.label("hot"), builder.label("warm")
        builder.branch_if((count & RUN_HEAT).eq(0), hot, warm)
        builder.block(warm)
        store_field(builder, "warm_entry", f"ptr {target}")
        self._tail_call("warm_branch")
        builder.block(hot)
        self._leave_hot(target)
        builder.block(go_on)
        self._stop_if(is_reported_earlier(count, position, goal), Stop.HOT, hot_target=target)
        store_field(builder, "last_branch", "ptr %entry")
        bias = clock + ENTRY_SIZE - goal
        self._go_on("%next", target, bias.name)

    def finish(self) -> None:
        if not self._reconsiders or self.ended:
            super().finish()
            return
        following = self.builder.assign("following", f"getelementptr i8, ptr %next, i64 {ENTRY_SIZE}")
        self._tail_call(
            "reconsider", f"ptr %state, ptr %memory, ptr %handlers, ptr %next, ptr {following}, i64 %bias"
        )

    # The privileged architecture.

    def _clock(self) -> IrValue:
        return self._clock_after() - ENTRY_SIZE

    def read_count(self) -> IrValue:
        call = f"call i32 @read_count(ptr %state, {self._clock().typed()})"
        return self.builder.value("count", call, 32)

    def require_coprocessor(self, number: int) -> None:
        usable = self.read(f"cp{number}_usable")
        refuse, proceed = self.builder.label("unusable"), self.builder.label("usable")
        self.builder.branch_if(usable.eq(0), refuse, proceed, unlikely=True)
        self.builder.block(refuse)
        self.leave_with_exception(ExceptionCode.CPU, number)
        self.builder.block(proceed)

    def system_operation(self, operation: SystemOperation, *values: IrValue) -> None:
        typed = "".join(f", {value.typed()}" for value in values)
        self.builder.emit(f"call void @{operation.value}(ptr %state{typed}, {self._clock().typed()})")

    def reconsider(self) -> None:
        self._reconsiders = True

    def return_from_exception(self) -> None:
        self._tail_call("return_from_exception")

    def wait_for_interrupt(self) -> None:
        self.system_operation(SystemOperation.UPDATE_TIMER)
        pending = self.read("cause") & self.read("status") & 0xFF00
        self._stop_if(pending.eq(0), Stop.WAIT)

    def call_monitor(self) -> None:
        self.ended = True
        self.leave_with_stop(Stop.MONITOR_CALL)


class CountingHandlerCpu(SystemHandlerCpu):
    """Looks at the limit in front of every instruction, not at taken branches, so that it stops exactly there."""

    def begin(self) -> None:
        limit = IrValue(self.builder, load_field(self.builder, "limit", "i64"), 64)
        self._stop_if(limit.le_unsigned(self._clock()), Stop.LIMIT)

    def _check_limit(self) -> IrValue:
        return self._clock_after()


def _reserved_in_coprocessor(number: int, kind: type[SystemHandlerCpu]) -> str:
    """An undefined function of a coprocessor: reserved, if the coprocessor may be used at all."""
    builder = FunctionBuilder()
    cpu = kind(builder, False, None)
    cpu.require_coprocessor(number)
    cpu.leave_with_exception(ExceptionCode.RI)
    return function(reserved_in_coprocessor_symbol(number), builder, "nounwind cold")


def system_handlers_ir(big_endian: bool, counts: bool = False) -> str:
    """The whole interpreter of system mode as one LLVM module; `counts`: for the instruction clock."""
    kind = CountingHandlerCpu if counts else SystemHandlerCpu
    parts = [FIRST_HANDLER_IR, ENTER_IR, control_ir(big_endian)]
    parts += [instruction_handler(encoding, kind, big_endian) for encoding in ENCODINGS.values()]
    parts.append(raising_handler("reserved_instruction", ExceptionCode.RI, kind))
    parts.append(raising_handler(coprocessor_unusable_symbol(2), ExceptionCode.CPU, kind, 2))
    parts += [_reserved_in_coprocessor(number, kind) for number in (0, 1)]
    parts.append(stopping_handler("breakpoint", Stop.BREAKPOINT))
    parts += [
        translate_ir(),
        tlb_ir(),
        second_level_ir(),
        exceptions_ir(),
        timer_ir(),
        windows_ir(),
        zap_ir(),
        aging_ir(),
        decoding_ir(),
        stencil_runs_ir(big_endian),
        cut_run_ir(),
        register_page_ir(),
        direct_registers_ir(),
    ]
    parts.append(float_routines_ir())
    text = "\n".join(parts)
    declarations = [
        DECLARATIONS,
        "declare i64 @llvm.cttz.i64(i64, i1)",
        intrinsic_declarations(text),
        float_declarations(text),
    ]
    return "\n".join([text, *declarations, UNLIKELY_METADATA])
