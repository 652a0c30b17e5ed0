"""The FPU's outlined native routines, emitted once into the run time's native module.

Called from cold blocks of hot code, preserving every register:
- float_nan_<arity>_<format>: note *invalid* if the result was a NaN, and MIPS says so
- float_unordered_<quiet|signal>_<format>: note *invalid* if that comparison of these operands is
- float_invalid: note *invalid*

Called where exceptions matter:
- float_checked: an operation with exact Cause, Flags and traps
- float_read_fcsr, float_write_fcsr: cfc1 and ctc1
"""

from __future__ import annotations

import re
from typing import Final

from translator.fcsr import FLAGS_SHIFT, FloatException
from translator.float_control_routines import control_routines_ir
from translator.float_exact_routine import exact_routine_ir
from translator.float_expressions import LLVM_TYPE, float_intrinsic_declarations
from translator.float_invalid import is_invalid, is_nan, is_signalling
from translator.host_float import LOAD_CONTROL, STORE_CONTROL
from translator.ir import FunctionBuilder, IrValue
from translator.state import OFFSET

_COLD: Final = "preserve_allcc void"
_COLD_ATTRIBUTES: Final = "nounwind noinline cold"
_INVALID_FLAG: Final = FloatException.INVALID << FLAGS_SHIFT


def float_routines_ir() -> str:
    """LLVM IR of all routines; `float_declarations` of the whole module gives what they need."""
    parts = [_invalid_routine()]
    parts += [_nan_routine(arity, kind) for kind in "sd" for arity in (1, 2, 3)]
    parts += [_unordered_routine(name, kind) for kind in "sd" for name in ("quiet", "signal")]
    parts += [exact_routine_ir(), control_routines_ir()]
    return "\n".join(parts)


def float_declarations(text: str) -> str:
    """Declarations of the intrinsics and outlined routines that `text` calls and does not define."""
    defined = set(re.findall(r"^define .*?@(\w+)\(", text, re.MULTILINE))
    declarations = [float_intrinsic_declarations(text)]
    declarations += [
        f"declare void @{name}(ptr)" for name in (LOAD_CONTROL, STORE_CONTROL) if f"@{name}(" in text
    ]
    declarations += [
        f"declare {result} @{name}({parameters})"
        for name, (result, parameters) in _signatures().items()
        if f"@{name}(" in text and name not in defined
    ]
    return "\n".join(declarations)


def _signatures() -> dict[str, tuple[str, str]]:
    """Name → result and parameters of the routines that generated code calls."""
    signatures = {
        "float_invalid": (_COLD, "ptr"),
        "float_checked": ("{ i64, i64 }", "ptr, i32, i64, i64, i64"),
        "float_read_fcsr": ("i32", "ptr"),
        "float_write_fcsr": ("i32", "ptr, i32"),
    }
    for kind in "sd":
        operand = f", {LLVM_TYPE[kind]}"
        for arity in (1, 2, 3):
            signatures[f"float_nan_{arity}_{kind}"] = (_COLD, "ptr, i1" + operand * arity)
        for variant in ("quiet", "signal"):
            signatures[f"float_unordered_{variant}_{kind}"] = (_COLD, "ptr" + operand * 2)
    return signatures


def _note_invalid(builder: FunctionBuilder, condition: IrValue) -> None:
    """Set the sticky flag *invalid* of FCSR if `condition`."""
    pointer = builder.assign("at", f"getelementptr i8, ptr %state, i64 {OFFSET['fcsr']}")
    fcsr = builder.value("fcsr", f"load i32, ptr {pointer}", 32)
    builder.emit(
        f"store {(fcsr | condition.select(fcsr.lift(_INVALID_FLAG), fcsr.lift(0))).typed()}, ptr {pointer}"
    )


def _routine(name: str, parameters: str, builder: FunctionBuilder) -> str:
    body = "\n".join(builder.lines)
    return f"define {_COLD} @{name}(ptr %state{parameters}) {_COLD_ATTRIBUTES} {{\n{body}\n  ret void\n}}\n"


def _parameters(builder: FunctionBuilder, kind: str, count: int) -> tuple[str, list[IrValue]]:
    """The text of `count` floating-point parameters, and their bits."""
    names = [f"%operand{k}" for k in range(count)]
    width = 32 if kind == "s" else 64
    values = [IrValue.from_float(builder, name, width) for name in names]
    return "".join(f", {LLVM_TYPE[kind]} {name}" for name in names), values


def _invalid_routine() -> str:
    builder = FunctionBuilder()
    _note_invalid(builder, builder.constant(1, 1))
    return _routine("float_invalid", "", builder)


def _nan_routine(arity: int, kind: str) -> str:
    builder = FunctionBuilder()
    parameters, operands = _parameters(builder, kind, arity)
    happened = IrValue(builder, "%happened", 1)
    _note_invalid(builder, happened & is_invalid(kind, operands))
    return _routine(f"float_nan_{arity}_{kind}", f", i1 %happened{parameters}", builder)


def _unordered_routine(variant: str, kind: str) -> str:
    builder = FunctionBuilder()
    parameters, (a, b) = _parameters(builder, kind, 2)
    counts = is_nan if variant == "signal" else is_signalling
    _note_invalid(builder, counts(kind, a) | counts(kind, b))
    return _routine(f"float_unordered_{variant}_{kind}", parameters, builder)
