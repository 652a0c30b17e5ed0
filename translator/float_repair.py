"""What happens when a check of put-off operations finds a NaN: one outlined routine goes through them in order.

The cold block of the check stores operands and results of the host to `float_values` of the CPU state, and one word
for each operation to `float_plan`: which operation, and where its result and operands are. The routine replaces NaNs
of the host by MIPS's and notes which operations were invalid; the cold block loads the results.
"""

from __future__ import annotations

from typing import Final

from translator.float_expressions import LLVM_TYPE
from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH
from translator.float_invalid import is_nan, is_signalling, note_invalid, settled_nan
from translator.float_operations import FLOAT_OPERATIONS, FloatOperation
from translator.ir import FunctionBuilder, IrValue
from translator.state import FLOAT_PLAN_SIZE, FLOAT_VALUES, OFFSET

REPAIR: Final = "float_repair"
"""void @float_repair(ptr %state, i32 count): `count` operations of the plan."""
_FIELD_BITS: Final = 6
_FIELD_MASK: Final = (1 << _FIELD_BITS) - 1
assert len(FLOAT_OPERATIONS) <= _FIELD_MASK and FLOAT_VALUES <= _FIELD_MASK + 1


def planned(operation: FloatOperation, result: int, operands: list[int]) -> int:
    """The word of the plan for `operation`; numbers of its result and operands in `float_values`."""
    word = operation.number
    for place, number in enumerate([result, *operands], start=1):
        word |= number << _FIELD_BITS * place
    return word


def value_pointer(builder: FunctionBuilder, number: int) -> str:
    """Where the value of this number stands."""
    return builder.assign("value", f"getelementptr i8, ptr %state, i64 {OFFSET['float_values'] + 8 * number}")


def store_plan(builder: FunctionBuilder, words: list[int]) -> None:
    """Store the plan."""
    assert len(words) <= FLOAT_PLAN_SIZE
    for place, word in enumerate(words):
        offset = OFFSET["float_plan"] + 4 * place
        at = builder.assign("plan", f"getelementptr i8, ptr %state, i64 {offset}")
        builder.emit(f"store i32 {word}, ptr {at}")


def repair_routine_ir() -> str:
    """The routine."""
    builder = FunctionBuilder()
    builder.block("enter")
    plan = builder.assign("plan", f"getelementptr i8, ptr %state, i64 {OFFSET['float_plan']}")
    builder.emit("br label %next")
    builder.block("next")
    builder.emit("%place = phi i32 [ 0, %enter ], [ %following, %done ]")
    builder.emit("%is_end = icmp eq i32 %place, %count")
    builder.emit("br i1 %is_end, label %end, label %repair")
    builder.block("repair")
    at = builder.assign("at", f"getelementptr i32, ptr {plan}, i32 %place")
    word = builder.value("word", f"load i32, ptr {at}", 32)
    pointers = [_pointer(builder, word.shift_right(_FIELD_BITS * place)) for place in range(1, 5)]
    deferrable = [one for one in FLOAT_OPERATIONS if can_be_put_off(one)]
    cases = " ".join(f"i32 {one.number}, label %{one.symbol}" for one in deferrable)
    builder.emit(f"switch i32 {(word & _FIELD_MASK).name}, label %done [ {cases} ]")
    for operation in deferrable:
        builder.block(operation.symbol)
        _repair(builder, operation, pointers)
        builder.emit("br label %done")
    builder.block("done")
    builder.emit("%following = add i32 %place, 1")
    builder.emit("br label %next")
    builder.block("end")
    builder.emit("ret void")
    body = "\n".join(builder.lines)
    return f"define preserve_allcc void @{REPAIR}(ptr %state, i32 %count) nounwind noinline cold {{\n{body}\n}}\n"


def can_be_put_off(operation: FloatOperation) -> bool:
    """Whether a NaN is all that can be wrong with the host's result."""
    return operation.source in FLOAT_FORMATS and operation.result in (*FLOAT_FORMATS, "relation")


def _pointer(builder: FunctionBuilder, field: IrValue) -> str:
    """Where the value is whose number stands in the lowest bits of `field`."""
    distance = ((field & _FIELD_MASK).zext(64) << 3) + OFFSET["float_values"]
    return builder.assign("value", f"getelementptr i8, ptr %state, i64 {distance.name}")


def _loaded(builder: FunctionBuilder, kind: str, pointer: str) -> IrValue:
    name = builder.assign("number", f"load {LLVM_TYPE[kind]}, ptr {pointer}")
    return IrValue.from_float(builder, name, FORMAT_WIDTH[kind])


def _repair(builder: FunctionBuilder, operation: FloatOperation, pointers: list[str]) -> None:
    source = operation.source
    operands = [_loaded(builder, source, pointer) for pointer in pointers[1 : 1 + operation.arity]]
    if operation.group == "compare":
        counts = is_nan if operation.name == "signal" else is_signalling
        a, b = operands
        note_invalid(builder, counts(source, a) | counts(source, b))
        return
    result = _loaded(builder, operation.result, pointers[0]).as_float()
    value, invalid = settled_nan(builder, operation, result, operands)
    note_invalid(builder, invalid)
    builder.emit(f"store {value.typed()}, ptr {pointers[0]}")
