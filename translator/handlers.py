"""Tier 0: every instruction of the table as a native handler of the threaded interpreter.

A handler finds its operands in the predecoded entry, does the instruction, and tail-calls the handler of the
entry that `next` points at. A branch gives its delay slot the branch target as `next`: that is all there is to
delay slots, and an instruction is in the slot of a taken branch exactly if its `next` does not follow it.
"""

from __future__ import annotations

from typing import Any

from translator import isa
from translator.algebra import RegisterFile
from translator.dataflow import reads_gpr_destination
from translator.decode import UNUSABLE_COPROCESSOR
from translator.encoding import ENCODINGS, Encoding, Flow
from translator.float_ir import FloatChecking
from translator.float_routines import float_declarations, float_routines_ir
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.native_cpu import (
    CONVENTION,
    PARAMETERS,
    SCALAR_WIDTH,
    NativeCpu,
    field_pointer,
    load_field,
    store_field,
)
from translator.predecode import (
    CLOCK_PER_COUNT,
    COUNTER_OFFSET,
    DECODABLE_PAGE,
    DECODE_CACHE_BITS,
    DECODE_HASH_MULTIPLIER,
    ENTRY_SIZE,
    HOT_THRESHOLD,
    IMMEDIATE_OFFSET,
    LAST_TARGET_OFFSET,
    OPERANDS_OFFSET,
    coprocessor_unusable_symbol,
    handler_symbol,
    operand_index,
)
from translator.state import GPR_SINK, OFFSET, ExceptionCode, Stop

assert isa  # importing it fills ENCODINGS

USER_STOPS = (
    Stop.EXCEPTION,
    Stop.LIMIT,
    Stop.UNDECODED,
    Stop.HOT,
    Stop.BREAKPOINT,
    Stop.FPU_MODE,
)
"""What native code leaves for in user mode."""

ARGUMENT_REGISTERS = ("r15", "rdi", "rsi")
"""Where CONVENTION passes entry, next and bias on x86-64."""


class _Operands:
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


class _Registers:
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
        self.gpr: RegisterFile = _Registers(
            self, "gpr", 4, 32, reads_destination=encoding is not None and reads_gpr_destination(encoding)
        )
        self.fpr32: RegisterFile = _Registers(self, "fpr", 4, 32)
        self.fpr64: RegisterFile = _Registers(self, "fpr", 4, 64)
        self.fpr_high: RegisterFile = _Registers(self, "fpr", 4, 32, high=True)
        self.fcc: RegisterFile = _Registers(self, "fcc", 1, 1)
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
        dispatch(builder, after, following, bias)
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
        dispatch(self.builder, "%next", following, "%bias")

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
        dispatch(builder, "%next", target, bias.name)

    def _stop_if(self, condition: IrValue, stop: Stop, hot_target: str | None = None) -> None:
        leaving, staying = self.builder.label("leave"), self.builder.label("stay")
        self.builder.branch_if(condition, leaving, staying, unlikely=True)
        self.builder.block(leaving)
        if hot_target is not None:
            store_field(self.builder, "hot_target", address_of_entry(self.builder, hot_target).typed())
        leave(self.builder, stop)
        self.builder.block(staying)

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


def function(name: str, builder: FunctionBuilder, attributes: str = "nounwind") -> str:
    body = "\n".join(builder.lines)
    return f"define {CONVENTION} void @{name}({PARAMETERS}) {attributes} {{\n{body}\n}}\n"


def instruction_handler(
    encoding: Encoding, kind: type[HandlerCpu], big_endian: bool, profiles: bool = False
) -> str:
    """The definition of an instruction's handler, on a Cpu of class `kind`."""
    builder = FunctionBuilder()
    cpu = kind(builder, big_endian, encoding, profiles=profiles)
    if profiles:
        cpu.count_execution()
    if encoding.flow.has_delay_slot:
        cpu.refuse_delay_slot()
    encoding.semantics(cpu, _Operands(builder, encoding))
    cpu.finish()
    return function(handler_symbol(encoding.mnemonic), builder)


def _leave_routine(stop: Stop) -> str:
    """Write pc, clock and delay-slot state for the entry that was not executed, and return."""
    builder = FunctionBuilder()
    store_field(builder, "stop", f"i32 {int(stop)}")
    store_field(builder, "pc", address_of_entry(builder, "%entry").typed())
    store_field(builder, "branch_target", address_of_entry(builder, "%next").typed())
    next_entry = IrValue(builder, builder.assign("next_entry", "ptrtoint ptr %next to i64"), 64)
    clock = next_entry + IrValue(builder, "%bias", 64) - ENTRY_SIZE
    store_field(builder, "clock", clock.typed())
    entry = IrValue(builder, builder.assign("position", "ptrtoint ptr %entry to i64"), 64)
    last_branch = IrValue(builder, load_field(builder, "last_branch", "i64"), 64)
    store_field(builder, "in_delay_slot", last_branch.eq(entry - ENTRY_SIZE).zext(32).typed())
    builder.emit("ret void")
    return function(f"leave_at_entry_{stop.name.lower()}", builder, "nounwind noinline cold")


def _leave_region_routine() -> str:
    """From a translated region to the entry `entry`, which is not a delay slot; counts what is not translated."""
    builder = FunctionBuilder()
    store_field(builder, "last_branch", "i64 0")
    position = IrValue(builder, builder.assign("position", "ptrtoint ptr %entry to i64"), 64)
    clock = position + IrValue(builder, "%bias", 64)
    limit = IrValue(builder, load_field(builder, "limit", "i64"), 64)
    stopping, proceed = builder.label("stopping"), builder.label("proceed")
    builder.branch_if(limit.le_unsigned(clock), stopping, proceed, unlikely=True)
    builder.block(stopping)
    leave(builder, Stop.LIMIT)
    builder.block(proceed)
    offset = builder.value("offset", "load i32, ptr %entry", 32)
    end = IrValue(builder, load_field(builder, "interpreter_end", "i32"), 32)
    count, go = builder.label("count"), builder.label("go")
    builder.branch_if(offset.lt_unsigned(end), count, go, unlikely=True)
    builder.block(count)
    pointer = builder.assign("at", f"getelementptr i8, ptr %entry, i64 {COUNTER_OFFSET}")
    times = builder.value("times", f"load i32, ptr {pointer}", 32) + 1
    builder.emit(f"store {times.typed()}, ptr {pointer}")
    hot = builder.label("hot")
    builder.branch_if(times.eq(HOT_THRESHOLD), hot, go, unlikely=True)
    builder.block(hot)
    store_field(builder, "hot_target", address_of_entry(builder, "%entry").typed())
    leave(builder, Stop.HOT)
    builder.block(go)
    dispatch(builder, "%entry", "%next", "%bias")
    return function("leave_region", builder)


def _leave_region_to_address_routine() -> str:
    """From a translated region to the guest address in `entry`; `bias` is the clock."""
    builder = FunctionBuilder()
    wide = IrValue(builder, builder.assign("wide", "ptrtoint ptr %entry to i64"), 64)
    aligned, unaligned = builder.label("aligned"), builder.label("unaligned")
    builder.branch_if((wide & 3).ne(0), unaligned, aligned, unlikely=True)
    builder.block(unaligned)
    store_field(builder, "bad_virtual_address", wide.trunc(32).typed())
    _leave_to(builder, field_pointer(builder, "address_error_entry"))
    builder.block(aligned)
    base = load_field(builder, "entries_base", "ptr")
    distance = wide << 2
    _leave_to(builder, builder.assign("target", f"getelementptr i8, ptr {base}, i64 {distance.name}"))
    return function("leave_region_to_address", builder)


def _leave_to(builder: FunctionBuilder, target: str) -> None:
    following = builder.assign("following", f"getelementptr i8, ptr {target}, i64 {ENTRY_SIZE}")
    position = IrValue(builder, builder.assign("position", f"ptrtoint ptr {target} to i64"), 64)
    bias = IrValue(builder, "%bias", 64) - position
    builder.emit(
        f"musttail call {CONVENTION} void @leave_region"
        f"(ptr %state, ptr %memory, ptr %handlers, ptr {target}, ptr {following}, i64 {bias.name})"
    )
    builder.emit("ret void")


def _undecoded_handler(big_endian: bool) -> str:
    """Fill the entry from the hash of decoded words and run it; leave if its page or word is not known."""
    builder = FunctionBuilder()
    address = address_of_entry(builder, "%entry")
    flags_base = load_field(builder, "page_flags", "ptr")
    page = address.shift_right(12).zext(64)
    flags_at = builder.assign("at", f"getelementptr i8, ptr {flags_base}, i64 {page.name}")
    flags = builder.value("flags", f"load i8, ptr {flags_at}", 8)
    unknown, fetch = builder.label("unknown"), builder.label("fetch")
    builder.branch_if((flags & DECODABLE_PAGE).eq(DECODABLE_PAGE), fetch, unknown)
    builder.block(fetch)
    word = HandlerCpu(builder, big_endian, None).load(address, 32)
    hashed = (word * DECODE_HASH_MULTIPLIER).shift_right(32 - DECODE_CACHE_BITS).zext(64)
    cache = load_field(builder, "decode_cache", "ptr")
    index = hashed * ENTRY_SIZE
    for way in (index, index ^ ENTRY_SIZE):
        record = builder.assign("record", f"getelementptr i8, ptr {cache}, i64 {way.name}")
        tag_at = builder.assign("tag_at", f"getelementptr i8, ptr {record}, i64 {COUNTER_OFFSET}")
        is_same = builder.value("tag", f"load i32, ptr {tag_at}", 32).eq(word)
        is_filled = builder.value("filled", f"load i32, ptr {record}", 32).ne(0)
        known, other = builder.label("known"), builder.label("other_way")
        builder.branch_if(is_same & is_filled, known, other)
        builder.block(known)
        builder.emit(
            f"call void @llvm.memcpy.p0.p0.i64(ptr %entry, ptr {record}, i64 {COUNTER_OFFSET}, i1 false)"
        )
        dispatch(builder, "%entry", "%next", "%bias")
        builder.block(other)
    builder.emit(f"br label %{unknown}")
    builder.block(unknown)
    leave(builder, Stop.UNDECODED)
    return function("undecoded", builder)


def raising_handler(
    name: str, code: ExceptionCode, kind: type[HandlerCpu] = HandlerCpu, coprocessor: int = 0
) -> str:
    """A handler that raises an exception, whatever the operands."""
    builder = FunctionBuilder()
    kind(builder, False, None).leave_with_exception(code, coprocessor)
    return function(name, builder, "nounwind cold")


def _address_error_handler() -> str:
    """The fetch from `bad_virtual_address`, where a jump went: this entry is not that address's own."""
    builder = FunctionBuilder()
    store_field(builder, "exception_code", f"i32 {int(ExceptionCode.ADEL)}")
    store_field(builder, "stop", f"i32 {int(Stop.EXCEPTION)}")
    store_field(builder, "pc", f"i32 {load_field(builder, 'bad_virtual_address', 'i32')}")
    store_field(builder, "in_delay_slot", "i32 0")
    next_entry = IrValue(builder, builder.assign("next_entry", "ptrtoint ptr %next to i64"), 64)
    clock = next_entry + IrValue(builder, "%bias", 64) - ENTRY_SIZE
    store_field(builder, "clock", clock.typed())
    builder.emit("ret void")
    return function("address_error", builder, "nounwind cold")


def stopping_handler(name: str, stop: Stop) -> str:
    """A handler that leaves native code."""
    builder = FunctionBuilder()
    leave(builder, stop)
    return function(name, builder, "nounwind cold")


FIRST_HANDLER_IR = f"""\
define {CONVENTION} void @first_handler({PARAMETERS}) nounwind {{
  musttail call {CONVENTION} void @undecoded(ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias)
  ret void
}}
"""
"""Comes first in the module, hence at handler offset 0: what an all-zero entry runs."""

ENTER_IR = f"""\
define i32 @enter(ptr %state, ptr %entry, ptr %next, i64 %bias) nounwind {{
  %buffer = getelementptr i8, ptr %state, i64 {OFFSET["jump_buffer"]}
  %in_native = getelementptr i8, ptr %state, i64 {OFFSET["in_native"]}
  %host_control = getelementptr i8, ptr %state, i64 {OFFSET["host_mxcsr"]}
  %guest_control = getelementptr i8, ptr %state, i64 {OFFSET["guest_mxcsr"]}
  call void @llvm.x86.sse.stmxcsr(ptr %host_control)
  %setjmp.at = getelementptr i8, ptr %state, i64 {OFFSET["setjmp"]}
  %setjmp = load ptr, ptr %setjmp.at
  %jumped = call i32 %setjmp(ptr %buffer) returns_twice
  %fresh = icmp eq i32 %jumped, 0
  br i1 %fresh, label %run, label %faulted
run:
  store volatile i32 1, ptr %in_native
  call void @llvm.x86.sse.ldmxcsr(ptr %guest_control)
  %memory.at = getelementptr i8, ptr %state, i64 {OFFSET["memory_base"]}
  %memory = load ptr, ptr %memory.at
  %handlers.at = getelementptr i8, ptr %state, i64 {OFFSET["handlers_base"]}
  %handlers = load ptr, ptr %handlers.at
  %offset = load i32, ptr %entry
  %distance = zext i32 %offset to i64
  %handler = getelementptr i8, ptr %handlers, i64 %distance
  call {CONVENTION} void %handler(ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias)
  store volatile i32 0, ptr %in_native
  call void @llvm.x86.sse.stmxcsr(ptr %guest_control)
  call void @llvm.x86.sse.ldmxcsr(ptr %host_control)
  ret i32 0
faulted:
  store volatile i32 0, ptr %in_native
  call void @llvm.x86.sse.ldmxcsr(ptr %host_control)
  ret i32 1
}}
"""
"""From the C calling convention into the handler of `entry` and back; 1: a host fault ended it."""

DECLARATIONS = """\
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.readcyclecounter()
declare i32 @llvm.uadd.sat.i32(i32, i32)
"""
"""Of what both kinds of interpreters call."""


def handlers_ir(big_endian: bool, profiles: bool = False) -> str:
    """The whole interpreter as one LLVM module.

    `profiles`: the counters in the entries count executions of each instruction, and nothing is ever hot. That of
    a register jump's delay slot, where the jump notes its target, is the target + 1.
    """
    parts = [FIRST_HANDLER_IR, _undecoded_handler(big_endian), ENTER_IR]
    parts += [
        instruction_handler(encoding, HandlerCpu, big_endian, profiles)
        for encoding in ENCODINGS.values()
        if not encoding.privileged
    ]
    parts += [_leave_routine(stop) for stop in USER_STOPS]
    parts.append(raising_handler("reserved_instruction", ExceptionCode.RI))
    for coprocessor in sorted(set(UNUSABLE_COPROCESSOR.values())):
        name = coprocessor_unusable_symbol(coprocessor)
        parts.append(raising_handler(name, ExceptionCode.CPU, coprocessor=coprocessor))
    parts.append(_address_error_handler())
    parts.append(stopping_handler("breakpoint", Stop.BREAKPOINT))
    parts += [_leave_region_routine(), _leave_region_to_address_routine(), float_routines_ir()]
    text = "\n".join(parts)
    declarations = [DECLARATIONS, intrinsic_declarations(text), float_declarations(text)]
    return "\n".join([text, *declarations, UNLIKELY_METADATA])
