"""Tier 0's `Cpu`: guest registers in the CPU state, operands in the predecoded entry, control through `next`.

A handler finds its operands in the predecoded entry, does the instruction, and tail-calls the handler of the
entry that `next` points at. A branch gives its delay slot the branch target as `next`: that is all there is to
delay slots, and an instruction is in the slot of a taken branch exactly if its `next` does not follow it.
"""

from __future__ import annotations

from typing import Any

from translator.algebra import RegisterFile
from translator.dataflow import reads_gpr_destination
from translator.encoding import Encoding, Flow
from translator.float_ir import FloatChecking
from translator.ir import FunctionBuilder, IrValue
from translator.native_cpu import (
    CONVENTION,
    SCALAR_WIDTH,
    NativeCpu,
    field_pointer,
    load_field,
    store_field,
)
from translator.predecode import (
    CLOCK_PER_COUNT,
    COUNTER_OFFSET,
    ENTRY_SIZE,
    HOT_THRESHOLD,
    IMMEDIATE_OFFSET,
    LAST_TARGET_OFFSET,
    OPERANDS_OFFSET,
    operand_index,
)
from translator.state import GPR_SINK, OFFSET, ExceptionCode, Stop

ARGUMENT_REGISTERS = ("r15", "rdi", "rsi")
"""Where CONVENTION passes entry, next and bias on x86-64."""


class EntryOperands:
    """Operand fields, read from the entry. Register fields come as operand-byte numbers (`pack_entry`).

    Each is read once, at its first use: a store of the instruction's own may empty its entry.
    """

    def __init__(self, builder: FunctionBuilder, encoding: Encoding) -> None:
        self._builder = builder
        self._encoding = encoding

    def __getattr__(self, name: str) -> Any:
        shift, _ = self._encoding.fields[name]
        value = self._load(name, shift)
        setattr(self, name, value)
        return value

    def _load(self, name: str, shift: int) -> IrValue:
        if name in ("imm", "uimm", "offset", "index"):
            pointer = self._builder.assign("at", f"getelementptr i8, ptr %entry, i64 {IMMEDIATE_OFFSET}")
            return self._builder.value(name, f"load i32, ptr {pointer}", 32)
        position = OPERANDS_OFFSET + operand_index(shift)
        pointer = self._builder.assign("at", f"getelementptr i8, ptr %entry, i64 {position}")
        return self._builder.value(name, f"load i8, ptr {pointer}", 8).zext(32)


class StateRegisters:
    """A register file in the CPU state: element `register` of `stride` bytes, read as `width` bits."""

    def __init__(
        self,
        cpu: HandlerCpu,
        field: str,
        stride: int,
        width: int,
        *,
        high: bool = False,
        reads_destination: bool = False,
    ) -> None:
        self._cpu = cpu
        self._reads_destination = reads_destination
        self._field = field
        self._stride = stride
        self._width = width
        self._high = high

    def _pointer(self, register: IrValue | int) -> str:
        builder = self._cpu.builder
        if isinstance(register, int):
            return field_pointer(builder, self._field, register * self._stride)
        index = (register | 1 if self._high else register).zext(64) * self._stride + OFFSET[self._field]
        return builder.assign(self._field, f"getelementptr i8, ptr %state, i64 {index.name}")

    def __getitem__(self, register: IrValue | int) -> IrValue:
        if self._reads_destination and isinstance(register, IrValue):
            register = register & GPR_SINK - 1  # the sink is where $zero is written; read, it is $zero
        pointer = self._pointer(register)
        if self._width == 1:
            return self._cpu.builder.value("bit", f"load i8, ptr {pointer}", 8).trunc(1)
        return self._cpu.builder.value("reg", f"load i{self._width}, ptr {pointer}, align 4", self._width)

    def __setitem__(self, register: IrValue | int, value: IrValue) -> None:
        pointer = self._pointer(register)
        stored = value.zext(8) if self._width == 1 else value
        if stored.is_float:
            kind = "float" if stored.width == 32 else "double"
            self._cpu.builder.emit(f"store {kind} {stored.as_float()}, ptr {pointer}, align 4")
        else:
            self._cpu.builder.emit(
                f"store {stored.typed()}, ptr {pointer}, align {1 if self._width == 1 else 4}"
            )


class HandlerCpu(NativeCpu):
    """Registers in the CPU state, operands in the entry, control through `next`."""

    def __init__(
        self, builder: FunctionBuilder, big_endian: bool, encoding: Encoding | None, *, profiles: bool = False
    ) -> None:
        super().__init__(builder, big_endian, FloatChecking.BY_STATE, volatile_access=False)
        self._profiles = profiles
        self.gpr: RegisterFile = StateRegisters(
            self, "gpr", 4, 32, reads_destination=encoding is not None and reads_gpr_destination(encoding)
        )
        self.fpr32: RegisterFile = StateRegisters(self, "fpr", 4, 32)
        self.fpr64: RegisterFile = StateRegisters(self, "fpr", 4, 64)
        self.fpr_high: RegisterFile = StateRegisters(self, "fpr", 4, 32, high=True)
        self.fcc: RegisterFile = StateRegisters(self, "fcc", 1, 1)
        self.ended = False
        self._encoding = encoding

    @property
    def pc(self) -> IrValue:
        return address_of_entry(self.builder, "%entry")

    def read(self, field: str) -> IrValue:
        width = SCALAR_WIDTH[field]
        return IrValue(self.builder, load_field(self.builder, field, f"i{width}"), width)

    def write(self, field: str, value: IrValue) -> None:
        store_field(self.builder, field, value.typed())

    def read_count(self) -> IrValue:
        next_entry = IrValue(self.builder, self.builder.assign("next_entry", "ptrtoint ptr %next to i64"), 64)
        clock = next_entry + IrValue(self.builder, "%bias", 64) - ENTRY_SIZE
        counts = self.read("counts_instructions").ne(0)
        return counts.select(clock.divide_unsigned(CLOCK_PER_COUNT), self.host_cycles()).trunc(32)

    def before_access(self) -> None:
        """Nothing to note: `after_access` has seen to it that the arguments are where they came in."""

    def after_access(self) -> None:
        """Keep entry, next and bias in their argument registers up to here, for the host-fault handler.

        What takes so few registers has them left where they came in.
        """
        entry, following, bias = ARGUMENT_REGISTERS
        self.builder.emit(
            f'call void asm sideeffect "", "{{{entry}}},{{{following}}},{{{bias}}}"'
            "(ptr %entry, ptr %next, i64 %bias)"
        )

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        store_field(self.builder, "exception_code", f"i32 {int(code)}")
        store_field(self.builder, "coprocessor", f"i32 {coprocessor}")
        leave(self.builder, Stop.EXCEPTION)

    def leave_with_stop(self, stop: Stop) -> None:
        leave(self.builder, stop)

    def refuse_delay_slot(self) -> None:
        """A branch in a delay slot is unpredictable; a reserved instruction, as on QEMU, before it links."""
        last_branch = IrValue(self.builder, load_field(self.builder, "last_branch", "i64"), 64)
        position = IrValue(self.builder, self.builder.assign("position", "ptrtoint ptr %entry to i64"), 64)
        self.trap_if(last_branch.eq(position - ENTRY_SIZE), ExceptionCode.RI)

    def branch(self, condition: IrValue, offset: IrValue) -> None:
        taken, not_taken = self.builder.label("taken"), self.builder.label("not_taken")
        self.builder.branch_if(condition, taken, not_taken)
        self.builder.block(not_taken)
        store_field(self.builder, "last_branch", "ptr %entry")
        self._fall_through()
        self.builder.block(taken)
        self._go_to(self._displaced(offset))

    def branch_likely(self, condition: IrValue, offset: IrValue) -> None:
        builder = self.builder
        taken, nullify = builder.label("taken"), builder.label("nullify")
        builder.branch_if(condition, taken, nullify)
        builder.block(nullify)
        after = builder.assign("after", f"getelementptr i8, ptr %next, i64 {ENTRY_SIZE}")
        following = builder.assign("following", f"getelementptr i8, ptr %next, i64 {2 * ENTRY_SIZE}")
        bias = builder.assign("bias_after", f"sub i64 %bias, {ENTRY_SIZE}")
        self._go_on(after, following, bias)
        builder.block(taken)
        self._go_to(self._displaced(offset))

    def jump(self, target: IrValue) -> None:
        builder = self.builder
        aligned, unaligned = builder.label("aligned"), builder.label("unaligned")
        builder.branch_if((target & 3).ne(0), unaligned, aligned, unlikely=True)
        builder.block(unaligned)
        store_field(builder, "bad_virtual_address", target.typed())
        self._go_to(field_pointer(builder, "address_error_entry"), counted=False)
        builder.block(aligned)
        note = builder.assign("note", f"getelementptr i8, ptr %entry, i64 {LAST_TARGET_OFFSET}")
        builder.emit(f"store {target.typed()}, ptr {note}")
        self._go_to(entry_of_address(builder, target))

    def jump_in_segment(self, index: IrValue) -> None:
        segment = address_of_entry(self.builder, "%entry", displacement=ENTRY_SIZE) & 0xF000_0000
        self._go_to(entry_of_address(self.builder, segment | index))

    def _displaced(self, offset: IrValue) -> str:
        return self.builder.assign("target", f"getelementptr i8, ptr %entry, i64 {offset.sext(64).name}")

    def _fall_through(self) -> None:
        self.ended = True
        following = self.builder.assign("following", f"getelementptr i8, ptr %next, i64 {ENTRY_SIZE}")
        self._go_on("%next", following, "%bias")

    def _go_to(self, target: str, counted: bool = True) -> None:
        """Run the delay slot with the entry `target` as its `next`, after the checks of a taken branch."""
        builder = self.builder
        self.ended = True
        slot = IrValue(builder, builder.assign("slot", "ptrtoint ptr %next to i64"), 64)
        clock = slot + IrValue(builder, "%bias", 64)
        limit = IrValue(builder, load_field(builder, "limit", "i64"), 64)
        self._stop_if(limit.le_unsigned(clock), Stop.LIMIT)
        if counted and not self._profiles:
            pointer = builder.assign("at", f"getelementptr i8, ptr {target}, i64 {COUNTER_OFFSET}")
            count = builder.value("count", f"load i32, ptr {pointer}", 32) + 1
            builder.emit(f"store {count.typed()}, ptr {pointer}")
            self._stop_if(count.eq(HOT_THRESHOLD), Stop.HOT, hot_target=target)
        store_field(builder, "last_branch", "ptr %entry")
        goal = IrValue(builder, builder.assign("goal", f"ptrtoint ptr {target} to i64"), 64)
        bias = clock + ENTRY_SIZE - goal
        self._go_on("%next", target, bias.name)

    def _go_on(self, entry: str, following: str, bias: str) -> None:
        """End here by executing `entry`, with `following` as its `next`."""
        dispatch(self.builder, entry, following, bias)

    def _stop_if(self, condition: IrValue, stop: Stop, hot_target: str | None = None) -> None:
        leaving, staying = self.builder.label("leave"), self.builder.label("stay")
        self.builder.branch_if(condition, leaving, staying, unlikely=True)
        self.builder.block(leaving)
        if hot_target is not None:
            self._leave_hot(hot_target)
        else:
            leave(self.builder, stop)
        self.builder.block(staying)

    def _leave_hot(self, target: str) -> None:
        """End here by leaving native code at this branch, which has made its target hot."""
        store_field(self.builder, "hot_target", address_of_entry(self.builder, target).typed())
        leave(self.builder, Stop.HOT)

    def count_execution(self) -> None:
        """Count in the entry how often this instruction is executed, up to 2³² − 1."""
        builder = self.builder
        pointer = builder.assign("counter", f"getelementptr i8, ptr %entry, i64 {COUNTER_OFFSET}")
        before = builder.assign("executions", f"load i32, ptr {pointer}")
        after = builder.assign("executions", f"call i32 @llvm.uadd.sat.i32(i32 {before}, i32 1)")
        builder.emit(f"store i32 {after}, ptr {pointer}")

    def finish(self) -> None:
        """End the handler: go to the next entry, unless a branch has gone elsewhere."""
        if self._encoding is not None and self._encoding.flow is Flow.EXCEPTION:
            self.builder.emit("unreachable")
        elif not self.ended:
            self._fall_through()


def address_of_entry(builder: FunctionBuilder, entry: str, displacement: int = 0) -> IrValue:
    """The guest address whose entry is `entry` (+ displacement bytes)."""
    base = IrValue(builder, load_field(builder, "entries_base", "i64"), 64)
    position = IrValue(builder, builder.assign("position", f"ptrtoint ptr {entry} to i64"), 64)
    return (position + displacement - base).shift_right(2).trunc(32)


def entry_of_address(builder: FunctionBuilder, address: IrValue) -> str:
    base = load_field(builder, "entries_base", "ptr")
    distance = address.zext(64) << 2
    return builder.assign("target", f"getelementptr i8, ptr {base}, i64 {distance.name}")


def dispatch(builder: FunctionBuilder, entry: str, following: str, bias: str) -> None:
    """Tail-call the handler of `entry`."""
    offset = builder.assign("offset", f"load i32, ptr {entry}")
    extended = builder.assign("distance", f"zext i32 {offset} to i64")
    handler = builder.assign("handler", f"getelementptr i8, ptr %handlers, i64 {extended}")
    builder.emit(
        f"musttail call {CONVENTION} void {handler}"
        f"(ptr %state, ptr %memory, ptr %handlers, ptr {entry}, ptr {following}, i64 {bias})"
    )
    builder.emit("ret void")


def leave(builder: FunctionBuilder, stop: Stop) -> None:
    """Leave native code at this entry, which has not been executed."""
    builder.emit(
        f"musttail call {CONVENTION} void @leave_at_entry_{stop.name.lower()}"
        "(ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias)"
    )
    builder.emit("ret void")
