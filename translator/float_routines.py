"""The FPU's outlined native routines, emitted once into the run time's native module.

Called from cold blocks of hot code, preserving every register:
- float_repair: make operations right whose results may be NaNs (`translator.float_repair`)
- float_invalid: note *invalid*

Called where exceptions matter:
- float_checked: an operation with exact Cause, Flags and traps
- float_read_fcsr, float_write_fcsr: cfc1 and ctc1
"""

from __future__ import annotations

import re
from typing import Final

from translator.float_control_routines import control_routines_ir
from translator.float_exact_routine import exact_routine_ir
from translator.float_expressions import float_intrinsic_declarations
from translator.float_invalid import note_invalid
from translator.float_repair import REPAIR, repair_routine_ir
from translator.host_float import LOAD_CONTROL, STORE_CONTROL
from translator.ir import FunctionBuilder

_COLD: Final = "preserve_allcc void"


def float_routines_ir() -> str:
    """LLVM IR of all routines; `float_declarations` of the whole module gives what they need."""
    return "\n".join([_invalid_routine(), repair_routine_ir(), exact_routine_ir(), control_routines_ir()])


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
    return {
        "float_invalid": (_COLD, "ptr"),
        REPAIR: (_COLD, "ptr, i32"),
        "float_checked": ("{ i64, i64 }", "ptr, i32, i64, i64, i64"),
        "float_read_fcsr": ("i32", "ptr"),
        "float_write_fcsr": ("i32", "ptr, i32"),
    }


def _invalid_routine() -> str:
    builder = FunctionBuilder()
    note_invalid(builder, builder.constant(1, 1))
    body = "\n".join(builder.lines)
    return f"define {_COLD} @float_invalid(ptr %state) nounwind noinline cold {{\n{body}\n  ret void\n}}\n"
