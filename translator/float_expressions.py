"""FPU operations as LLVM instructions on `float` and `double`, before any concern for NaNs and traps.

Whatever rounds or can raise a flag other than *invalid* is a constrained intrinsic, which LLVM neither
folds, deletes nor moves across another one or a call. *Invalid* is found out by inspecting operands and
results, never from the host's flag, so comparisons and conversions that are always exact may be plain
instructions.
"""

from __future__ import annotations

import struct
from typing import Final

from translator.fcsr import Rounding
from translator.float_operations import CONVERT_ROUNDING, UNORDERED
from translator.ir import FunctionBuilder

LLVM_TYPE: Final = {"s": "float", "d": "double", "w": "i32", "l": "i64", "relation": "i1"}
_MANGLED: Final = {"s": "f32", "d": "f64", "w": "i32", "l": "i64"}
_PREFIX: Final = "llvm.experimental.constrained."
_DYNAMIC: Final = 'metadata !"round.dynamic"'
_STRICT: Final = 'metadata !"fpexcept.strict"'
_BINARY: Final = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}


def floating_literal(number: float) -> str:
    """An LLVM operand of either floating-point type, in which `number` must be exact."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


def step(builder: FunctionBuilder, name: str, kind: str, *operands: str) -> str:
    """One correctly rounded operation: add sub mul div sqrt."""
    typed = "".join(f"{LLVM_TYPE[kind]} {operand}, " for operand in operands)
    intrinsic = f"@{_PREFIX}{_BINARY.get(name, name)}.{_MANGLED[kind]}"
    return builder.assign(name, f"call {LLVM_TYPE[kind]} {intrinsic}({typed}{_DYNAMIC}, {_STRICT}) strictfp")


class StepEmitter:
    """How the operations are composed of steps. Subclasses may emit a step otherwise."""

    def __init__(self, builder: FunctionBuilder) -> None:
        self.builder = builder

    def step(self, name: str, kind: str, *operands: str) -> str:
        return step(self.builder, name, kind, *operands)

    def arithmetic(self, name: str, kind: str, *operands: str) -> str:
        """The result of an arithmetic operation; any NaN is the host's, of either sign."""
        if name == "recip":
            return self.step("div", kind, "1.0", *operands)
        if name == "rsqrt":
            return self.step("div", kind, "1.0", self.step("sqrt", kind, *operands))
        if len(operands) < 3:
            return self.step(name, kind, *operands)
        a, b, c = operands
        product = self.step("mul", kind, a, b)
        total = self.step("sub" if name.endswith("sub") else "add", kind, product, c)
        if name.startswith("n"):
            return self.builder.assign("negated", f"fneg {LLVM_TYPE[kind]} {total}")
        return total


def to_floating(builder: FunctionBuilder, to: str, source: str, operand: str) -> str:
    """A conversion to floating point."""
    target, origin = LLVM_TYPE[to], LLVM_TYPE[source]
    if (to, source) == ("d", "s"):
        return builder.assign("wide", f"fpext {origin} {operand} to {target}")
    if (to, source) == ("d", "w"):
        return builder.assign("number", f"sitofp {origin} {operand} to {target}")
    name = "fptrunc" if source == "d" else "sitofp"
    intrinsic = f"@{_PREFIX}{name}.{_MANGLED[to]}.{_MANGLED[source]}"
    return builder.assign(
        name, f"call {target} {intrinsic}({origin} {operand}, {_DYNAMIC}, {_STRICT}) strictfp"
    )


_ROUND_TO_INTEGRAL: Final = {
    None: "nearbyint",
    Rounding.NEAREST: "roundeven",
    Rounding.UP: "ceil",
    Rounding.DOWN: "floor",
    Rounding.TOWARD_ZERO: "trunc",
}


def to_integral(builder: FunctionBuilder, operation: str, source: str, operand: str) -> str:
    """The operand rounded to an integer in its own format, raising no flag."""
    name = _ROUND_TO_INTEGRAL[CONVERT_ROUNDING[operation]]
    rounding = f", {_DYNAMIC}" if name == "nearbyint" else ""
    kind = LLVM_TYPE[source]
    call = f"call {kind} @{_PREFIX}{name}.{_MANGLED[source]}({kind} {operand}{rounding}, {_STRICT}) strictfp"
    return builder.assign("integral", call)


def truncate(builder: FunctionBuilder, to: str, source: str, operand: str) -> str:
    """The integer part as a `to`; if it does not fit, the most negative one; else raises *inexact*."""
    intrinsic = f"@{_PREFIX}fptosi.{_MANGLED[to]}.{_MANGLED[source]}"
    call = f"call {LLVM_TYPE[to]} {intrinsic}({LLVM_TYPE[source]} {operand}, {_STRICT}) strictfp"
    return builder.assign("integer", call)


_RELATIONS: Final = ("false", "uno", "oeq", "ueq", "olt", "ult", "ole", "ule")
"""fcmp conditions by a mask of UNORDERED, EQUAL and LESS."""


def relation(builder: FunctionBuilder, relations: int, kind: str, a: str, b: str) -> str:
    """Whether one of `relations` (a mask of UNORDERED, EQUAL and LESS) holds; an i1."""
    return builder.assign("holds", f"fcmp {_RELATIONS[relations]} {LLVM_TYPE[kind]} {a}, {b}")


def unordered(builder: FunctionBuilder, kind: str, a: str, b: str) -> str:
    """Whether a or b is a NaN; an i1."""
    return relation(builder, UNORDERED, kind, a, b)


def float_intrinsic_declarations(text: str) -> str:
    """Declarations of the constrained intrinsics that `text` calls."""
    signatures: dict[str, str] = {}
    for kind in "sd":
        mangled, llvm_type = _MANGLED[kind], LLVM_TYPE[kind]
        for name in _BINARY.values():
            signatures[f"{name}.{mangled}"] = f"{llvm_type} ({llvm_type}, {llvm_type}, metadata, metadata)"
        for name in ("sqrt", "nearbyint"):
            signatures[f"{name}.{mangled}"] = f"{llvm_type} ({llvm_type}, metadata, metadata)"
        for name in ("roundeven", "ceil", "floor", "trunc"):
            signatures[f"{name}.{mangled}"] = f"{llvm_type} ({llvm_type}, metadata)"
        for integer in "wl":
            origin = LLVM_TYPE[integer]
            signatures[f"fptosi.{_MANGLED[integer]}.{mangled}"] = f"{origin} ({llvm_type}, metadata)"
            signatures[f"sitofp.{mangled}.{_MANGLED[integer]}"] = (
                f"{llvm_type} ({origin}, metadata, metadata)"
            )
    signatures["fptrunc.f32.f64"] = "float (double, metadata, metadata)"
    return "\n".join(
        f"declare {signature.replace(' (', f' @{_PREFIX}{name}(', 1)}"
        for name, signature in signatures.items()
        if f"@{_PREFIX}{name}(" in text
    )
