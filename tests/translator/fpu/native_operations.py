"""Every FPU operation compiled on its own, as the engines would have it, to be run on many operands."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from tests.translator.fpu.expected import Outcome
from translator.float_format import FORMAT_WIDTH
from translator.float_ir import FloatChecking, FloatLowering
from translator.float_operations import FLOAT_OPERATIONS, SIGNALS_ON_QUIET, FloatOperation
from translator.float_routines import float_declarations, float_routines_ir
from translator.float_unit import reset_float_state
from translator.host_float import LOAD_CONTROL, STORE_CONTROL
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.state import OFFSET, CpuState, ExceptionCode, Stop

TRAPPED = 1
"""Second result of an operation's function; 0: it went through."""


class OneOperation(FloatLowering):
    """A Cpu whose state is in memory, and which leaves by returning."""

    def read(self, field: str) -> IrValue:
        return self.builder.value(field, f"load i{_width(field)}, ptr {self._pointer(field)}", _width(field))

    def write(self, field: str, value: IrValue) -> None:
        assert value.width == _width(field), field
        self.builder.emit(f"store {value.typed()}, ptr {self._pointer(field)}")

    def constant(self, number: int, width: int | None = None) -> IrValue:
        return self.builder.constant(number, width or 32)

    def trap_if(self, condition: IrValue, code: ExceptionCode, bad_address: IrValue | None = None) -> None:
        assert code is ExceptionCode.FPE
        trap, proceed = self.builder.label("trap"), self.builder.label("no_trap")
        self.builder.branch_if(condition, trap, proceed)
        self.builder.block(trap)
        self.builder.emit(f"ret {{ i64, i64 }} {{ i64 0, i64 {TRAPPED} }}")
        self.builder.block(proceed)

    def leave_with_stop(self, stop: Stop) -> None:
        raise AssertionError("no operation changes the mode")

    def _pointer(self, field: str) -> str:
        return self.builder.assign(field, f"getelementptr i8, ptr %state, i64 {OFFSET[field]}")


def _width(field: str) -> int:
    return 8 * int(getattr(CpuState, field).size)


def compute(cpu: Any, operation: FloatOperation, operands: Sequence[Any]) -> Any:
    """Apply `operation`; of a comparison, the three basic relations as bits 0, 1, 2."""
    if operation.group == "arithmetic":
        return cpu.float_arithmetic(operation.name, operation.source, *operands)
    if operation.group == "convert":
        return cpu.float_convert(operation.name, operation.result, operation.source, *operands)
    signals = SIGNALS_ON_QUIET if operation.name == "signal" else 0
    relations = [cpu.float_compare(signals | 1 << bit, operation.source, *operands) for bit in range(3)]
    a, b, c = (relation.zext(64) for relation in relations)
    return a | (b << 1) | (c << 2)


def _operation_ir(operation: FloatOperation, checking: FloatChecking, name: str) -> str:
    builder = FunctionBuilder()
    width = FORMAT_WIDTH[operation.source]
    operands = [IrValue(builder, f"%{letter}", 64).trunc(width) for letter in "abc"[: operation.arity]]
    result = compute(OneOperation(builder, checking), operation, operands).zext(64)
    both = builder.assign("pair", f"insertvalue {{ i64, i64 }} zeroinitializer, {result.typed()}, 0")
    builder.emit(f"ret {{ i64, i64 }} {both}")
    body = "\n".join(builder.lines)
    return f"define {{ i64, i64 }} @{name}(ptr %state, i64 %a, i64 %b, i64 %c) {{\n{body}\n}}\n"


def _driver_ir(name: str) -> str:
    """For each record {a, b, c, FCSR in, result, trapped, FCSR out, FCSR again}: set FCSR, operate, read
    it."""
    return f"""\
define void @drive_{name}(ptr %state, ptr %records, i64 %count) {{
entry:
  %saved = alloca i32
  call void @{STORE_CONTROL}(ptr %saved)
  br label %next
next:
  %index = phi i64 [ 0, %entry ], [ %following, %next ]
  %at = getelementptr [8 x i64], ptr %records, i64 %index
  %a = load i64, ptr %at
  %b.at = getelementptr i64, ptr %at, i64 1
  %b = load i64, ptr %b.at
  %c.at = getelementptr i64, ptr %at, i64 2
  %c = load i64, ptr %c.at
  %in.at = getelementptr i64, ptr %at, i64 3
  %in = load i32, ptr %in.at
  %ignored = call i32 @float_write_fcsr(ptr %state, i32 %in)
  %pair = call {{ i64, i64 }} @{name}(ptr %state, i64 %a, i64 %b, i64 %c)
  %result.at = getelementptr i64, ptr %at, i64 4
  store {{ i64, i64 }} %pair, ptr %result.at
  %out = call i32 @float_read_fcsr(ptr %state)
  %out.at = getelementptr i64, ptr %at, i64 6
  store i32 %out, ptr %out.at
  %again = call i32 @float_read_fcsr(ptr %state)
  %again.at = getelementptr i64, ptr %at, i64 7
  store i32 %again, ptr %again.at
  %following = add i64 %index, 1
  %more = icmp ult i64 %following, %count
  br i1 %more, label %next, label %done
done:
  call void @{LOAD_CONTROL}(ptr %saved)
  ret void
}}
"""


class NativeOperations:
    """The compiled operations of one way of checking."""

    def __init__(self, checking: FloatChecking) -> None:
        names = [f"{operation.symbol}_{checking.name.lower()}" for operation in FLOAT_OPERATIONS]
        parts = [
            float_routines_ir(),
            _control_ir("read_control", "@float_read_fcsr(ptr %state)"),
            _control_ir("write_control", "@float_write_fcsr(ptr %state, i32 %value)"),
        ]
        for operation, name in zip(FLOAT_OPERATIONS, names, strict=True):
            parts += [_operation_ir(operation, checking, name), _driver_ir(name), _perform_ir(name)]
        text = "\n".join(parts)
        text = "\n".join([text, float_declarations(text), intrinsic_declarations(text), UNLIKELY_METADATA])
        self._engine = _compile(text)
        self.checking = checking
        self.state = CpuState()
        reset_float_state(self.state)

    def run(self, operation: FloatOperation, cases: Sequence[tuple[tuple[int, ...], int]]) -> list[Outcome]:
        """Execute `operation` for each (operands, FCSR before)."""
        records = (ctypes.c_uint64 * 8 * len(cases))()
        for record, (operands, fcsr) in zip(records, cases, strict=True):
            record[: len(operands)] = operands
            record[3] = fcsr
        name = f"drive_{operation.symbol}_{self.checking.name.lower()}"
        drive = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(
            self._engine.get_function_address(name)
        )
        drive(ctypes.addressof(self.state), ctypes.addressof(records), len(cases))
        for record in records:
            assert record[6] == record[7], "reading FCSR changed it"
        return [Outcome(record[4], bool(record[5]), record[6]) for record in records]

    def perform(self, operation: FloatOperation, operands: tuple[int, ...]) -> tuple[int, bool]:
        """Execute once on the state as it is: the result, and whether it trapped."""
        record = (ctypes.c_uint64 * 8)(*operands)
        name = f"perform_{operation.symbol}_{self.checking.name.lower()}"
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        perform = prototype(self._engine.get_function_address(name))
        perform(ctypes.addressof(self.state), ctypes.addressof(record))
        return record[4], bool(record[5])

    def read_fcsr(self) -> int:
        """What cfc1 would find, given the sticky flags the state holds."""
        return int(self._control_routine("read_control")(ctypes.addressof(self.state), 0))

    def write_fcsr(self, value: int) -> int:
        """What @float_write_fcsr returns."""
        return int(self._control_routine("write_control")(ctypes.addressof(self.state), value))

    def _control_routine(self, name: str) -> Any:
        prototype = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
        return prototype(self._engine.get_function_address(name))


def _control_ir(name: str, call: str) -> str:
    """Call a control routine under the guest's control register, as generated code would."""
    return f"""\
define i32 @{name}(ptr %state, i32 %value) {{
  %saved = alloca i32
  %guest = getelementptr i8, ptr %state, i64 {OFFSET["guest_mxcsr"]}
  call void @{STORE_CONTROL}(ptr %saved)
  call void @{LOAD_CONTROL}(ptr %guest)
  %result = call i32 {call}
  call void @{STORE_CONTROL}(ptr %guest)
  call void @{LOAD_CONTROL}(ptr %saved)
  ret i32 %result
}}
"""


def _perform_ir(name: str) -> str:
    """One operation under the guest's control register, on the record {a, b, c, -, result, trapped}."""
    return f"""\
define void @perform_{name}(ptr %state, ptr %at) {{
  %saved = alloca i32
  %guest = getelementptr i8, ptr %state, i64 {OFFSET["guest_mxcsr"]}
  call void @{STORE_CONTROL}(ptr %saved)
  call void @{LOAD_CONTROL}(ptr %guest)
  %a = load i64, ptr %at
  %b.at = getelementptr i64, ptr %at, i64 1
  %b = load i64, ptr %b.at
  %c.at = getelementptr i64, ptr %at, i64 2
  %c = load i64, ptr %c.at
  %pair = call {{ i64, i64 }} @{name}(ptr %state, i64 %a, i64 %b, i64 %c)
  %result.at = getelementptr i64, ptr %at, i64 4
  store {{ i64, i64 }} %pair, ptr %result.at
  call void @{STORE_CONTROL}(ptr %guest)
  call void @{LOAD_CONTROL}(ptr %saved)
  ret void
}}
"""


def _compile(text: str) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=1
    )
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    manager = llvm.create_new_module_pass_manager()
    manager.add_sroa_pass()
    manager.add_instruction_combine_pass()
    manager.add_simplify_cfg_pass()
    manager.run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


@cache
def native_operations(checking: FloatChecking) -> NativeOperations:
    """Compiled once per test process."""
    return NativeOperations(checking)
