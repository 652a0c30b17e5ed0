"""Tier 0: every instruction of the table as a native handler of the threaded interpreter.

`handler_cpu` is how one finds its operands and goes on to the next; here is the module that has all of them, with
the way in, the ways out, and what an entry that is not decoded runs.
"""

from __future__ import annotations

from translator import isa
from translator.decode import UNUSABLE_COPROCESSOR
from translator.encoding import ENCODINGS, Encoding
from translator.float_routines import float_declarations, float_routines_ir
from translator.handler_cpu import EntryOperands, HandlerCpu, address_of_entry, dispatch, leave
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.native_cpu import (
    CONVENTION,
    PARAMETERS,
    field_pointer,
    load_field,
    store_field,
)
from translator.predecode import (
    COUNTER_OFFSET,
    DECODABLE_PAGE,
    DECODE_CACHE_BITS,
    DECODE_HASH_MULTIPLIER,
    ENTRY_SIZE,
    HOT_THRESHOLD,
    coprocessor_unusable_symbol,
    handler_symbol,
)
from translator.state import OFFSET, ExceptionCode, Stop

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
    encoding.semantics(cpu, EntryOperands(builder, encoding))
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
    end = IrValue(builder, load_field(builder, "tier_0_end", "i32"), 32)
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
