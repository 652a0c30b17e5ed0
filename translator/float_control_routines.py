"""The native routines behind cfc1 and ctc1, and behind operations whose exceptions matter at once.

    i32 @float_read_fcsr(ptr state)             FCSR with everything kept elsewhere put in its place
    i32 @float_write_fcsr(ptr state, i32 value) 0, WRITE_TRAPS or WRITE_CHANGES_MODE
    { i64 result, i64 traps } @float_checked(ptr state, i32 operation, i64 a, i64 b, i64 c)

`translator.float_unit` does the same on Python integers.
"""

from __future__ import annotations

from typing import Final

from translator.fcsr import (
    CAUSE_MASK,
    CAUSE_SHIFT,
    CHECKED_MASK,
    CONDITION_BITS,
    CONDITIONS_MASK,
    ENABLES_SHIFT,
    FLAGS_SHIFT,
    WRITABLE_MASK,
    FloatException,
)
from translator.float_exact_routine import collect_sticky_flags, rounding_control
from translator.float_ir import OPERAND_FIELDS, WRITE_CHANGES_MODE, WRITE_TRAPS
from translator.host_float import LOAD_CONTROL
from translator.ir import FunctionBuilder, IrValue
from translator.state import OFFSET

_GATHER_BITS: Final = 0x0102_0408_1020_4080
"""Multiplier that brings the low bits of eight bytes together in the top byte."""
_EACH_BYTE: Final = 0x0101_0101_0101_0101
_BIT_OF_BYTE: Final = 0x8040_2010_0804_0201
_FIRST_UPPER_CONDITION: Final = CONDITION_BITS[1] - 1
_ALL_EXCEPTIONS: Final = 31


def control_routines_ir() -> str:
    """LLVM IR of the three routines."""
    return "\n".join([_read_fcsr(), _write_fcsr(), _checked()])


def _pointer(builder: FunctionBuilder, field: str) -> str:
    return builder.assign(field, f"getelementptr i8, ptr %state, i64 {OFFSET[field]}")


def _load(builder: FunctionBuilder, field: str, width: int) -> IrValue:
    return builder.value("old", f"load i{width}, ptr {_pointer(builder, field)}", width)


def _store(builder: FunctionBuilder, field: str, value: IrValue) -> None:
    builder.emit(f"store {value.typed()}, ptr {_pointer(builder, field)}")


def _function(signature: str, builder: FunctionBuilder) -> str:
    body = "\n".join(builder.lines)
    return f"define {signature} nounwind noinline {{\n{body}\n}}\n"


def _read_fcsr() -> str:
    builder = FunctionBuilder()
    operation = _load(builder, "last_fp_operation", 32)
    fcsr = collect_sticky_flags(builder)
    builder.emit("br label %start")
    builder.block("start")
    kept_cause = fcsr & CAUSE_MASK
    builder.branch_if(operation.eq(0), "finish", "evaluate")
    builder.block("evaluate")
    operands = ", ".join(_load(builder, field, 64).typed() for field in OPERAND_FIELDS)
    call = f"call {{ i64, i64 }} @float_exact(ptr %state, {operation.typed()}, {operands})"
    pair = builder.assign("pair", call)
    exceptions = builder.value("exceptions", f"extractvalue {{ i64, i64 }} {pair}, 1", 64)
    found_cause = exceptions.trunc(32) << CAUSE_SHIFT
    found_cause.name  # noqa: B018
    builder.emit("br label %finish")
    builder.block("finish")
    cause = builder.value(
        "cause", f"phi i32 [ {kept_cause.name}, %start ], [ {found_cause.name}, %evaluate ]", 32
    )
    conditions = (_load(builder, "fcc", 64) * _GATHER_BITS).shift_right(56).trunc(32)
    placed = ((conditions & 0xFE) << _FIRST_UPPER_CONDITION) | ((conditions & 1) << CONDITION_BITS[0])
    value = (fcsr & ~(CAUSE_MASK | CONDITIONS_MASK)) | cause | placed
    builder.emit(f"ret {value.typed()}")
    return _function("i32 @float_read_fcsr(ptr %state)", builder)


def _write_fcsr() -> str:
    builder = FunctionBuilder()
    value = IrValue(builder, "%value", 32) & WRITABLE_MASK
    _store(builder, "fcsr", value & ~CONDITIONS_MASK)
    conditions = (value.shift_right(_FIRST_UPPER_CONDITION) & 0xFE) | (
        value.shift_right(CONDITION_BITS[0]) & 1
    )
    spread = (conditions.zext(64) * _EACH_BYTE) & _BIT_OF_BYTE
    _store(builder, "fcc", (spread + 0x7F * _EACH_BYTE).shift_right(7) & _EACH_BYTE)
    _store(builder, "last_fp_operation", builder.constant(0, 32))
    _store(builder, "guest_mxcsr", rounding_control(builder, value))
    builder.emit(f"call void @{LOAD_CONTROL}(ptr {_pointer(builder, 'guest_mxcsr')})")
    was_checked = _load(builder, "float_checked", 32)
    is_checked = (value & CHECKED_MASK).ne(0).zext(32)
    _store(builder, "float_checked", is_checked)
    enabled = value.shift_right(ENABLES_SHIFT) & _ALL_EXCEPTIONS | int(FloatException.UNIMPLEMENTED)
    causes = value.shift_right(CAUSE_SHIFT) & 2 * int(FloatException.UNIMPLEMENTED) - 1
    traps = (enabled & causes).ne(0).select(value.lift(WRITE_TRAPS), value.lift(0))
    outcome = was_checked.ne(is_checked).select(value.lift(WRITE_CHANGES_MODE), traps)
    builder.emit(f"ret {outcome.typed()}")
    return _function("i32 @float_write_fcsr(ptr %state, i32 %value)", builder)


def _checked() -> str:
    """While operations are checked, the flags in the host's control register stand in FCSR already."""
    builder = FunctionBuilder()
    call = "call { i64, i64 } @float_exact(ptr %state, i32 %operation, i64 %a, i64 %b, i64 %c)"
    pair = builder.assign("pair", call)
    exceptions = builder.value("exceptions", f"extractvalue {{ i64, i64 }} {pair}, 1", 64).trunc(32)
    fcsr = _load(builder, "fcsr", 32)
    with_cause = (fcsr & ~CAUSE_MASK) | (exceptions << CAUSE_SHIFT)
    _store(builder, "last_fp_operation", builder.constant(0, 32))
    with_flags = with_cause | (exceptions << FLAGS_SHIFT)
    with_flags.name  # noqa: B018  computed here, used below
    builder.branch_if((fcsr.shift_right(ENABLES_SHIFT) & exceptions).ne(0), "trap", "done")
    builder.block("trap")
    _store(builder, "fcsr", with_cause)
    _store(builder, "guest_mxcsr", rounding_control(builder, fcsr))
    builder.emit(f"call void @{LOAD_CONTROL}(ptr {_pointer(builder, 'guest_mxcsr')})")
    builder.emit("ret { i64, i64 } { i64 0, i64 1 }")
    builder.block("done")
    _store(builder, "fcsr", with_flags)
    both = builder.assign("both", f"insertvalue {{ i64, i64 }} {pair}, i64 0, 1")
    builder.emit(f"ret {{ i64, i64 }} {both}")
    return _function(
        "{ i64, i64 } @float_checked(ptr %state, i32 %operation, i64 %a, i64 %b, i64 %c)", builder
    )
