"""Every operation of the algebra gives the same on IR – folded and compiled – as on Python integers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.integers import IntegerValue
from translator.ir import FunctionBuilder, IrValue, intrinsic_declarations

WIDTHS = (8, 16, 32, 64)
BINARY = (
    "add",
    "sub",
    "mul",
    "and",
    "or",
    "xor",
    "shl",
    "lshr",
    "ashr",
    "rotr",
    "udiv",
    "urem",
    "sdiv",
    "srem",
)
RELATIONS = ("eq", "ne", "ult", "ule", "slt", "sle")
UNARY = ("ctlz", "bswap")
UNSIGNED_TYPE = {8: ctypes.c_uint8, 16: ctypes.c_uint16, 32: ctypes.c_uint32, 64: ctypes.c_uint64}

Operation = Callable[[Any, Any], Any]
Case = tuple[str, int, Operation]


def operations() -> Iterator[Case]:
    """Name, operand width, and the operation on two Values."""
    for width in WIDTHS:
        for name in BINARY:
            yield f"{name}_{width}", width, lambda a, b, name=name: a.binary(name, b)
        for name in RELATIONS:
            yield f"{name}_{width}", width, lambda a, b, name=name: a.compare(name, b)
        for name in UNARY:
            if (name, width) != ("bswap", 8):
                yield f"{name}_{width}", width, lambda a, b, name=name: a.unary(name)
        yield f"select_{width}", width, lambda a, b: a.lt_signed(b).select(a, b)
        for to in WIDTHS:
            for kind in ("trunc",) if to < width else ("zext", "sext") if to > width else ():
                yield f"{kind}_{width}_{to}", width, lambda a, b, kind=kind, to=to: a.resize(kind, to)


def operands_in_domain(name: str, a: int, b: int, width: int) -> tuple[int, int]:
    """Keep to what the algebra promises: shift amounts below the width, no division by 0 or overflow."""
    kind = name.split("_")[0]
    if kind in ("shl", "lshr", "ashr", "rotr"):
        return a, b % width
    if kind in ("udiv", "urem", "sdiv", "srem"):
        return a, b if b not in (0, (1 << width) - 1) else 7
    return a, b


class Native:
    """All operations as compiled functions of two arguments."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[int, int], int]] = {}
        prototypes: dict[str, tuple[int, int]] = {}
        texts = []
        for name, width, operation in operations():
            builder = FunctionBuilder()
            result = operation(IrValue(builder, "%a", width), IrValue(builder, "%b", width))
            builder.emit(f"ret i{result.width} {result.name}")
            body = "\n".join(builder.lines)
            texts.append(f"define zeroext i{result.width} @{name}(i{width} %a, i{width} %b) {{\n{body}\n}}")
            prototypes[name] = result.width, width
        text = "\n".join(texts)
        module = llvm.parse_assembly(f"{intrinsic_declarations(text)}\n{text}")
        module.verify()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.engine = llvm.create_mcjit_compiler(
            module, llvm.Target.from_default_triple().create_target_machine()
        )
        self.engine.finalize_object()
        for name, (result, width) in prototypes.items():
            kind = UNSIGNED_TYPE[width]
            prototype = ctypes.CFUNCTYPE(UNSIGNED_TYPE.get(result, ctypes.c_uint8), kind, kind)
            self.functions[name] = prototype(self.engine.get_function_address(name))


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 1 << 31, (1 << 31) - 1, 1 << 63, (1 << 63) - 1]
    ),
    st.integers(0, (1 << 64) - 1),
)


@given(NUMBERS, NUMBERS)
def test_compiled_and_folded_agree_with_integers(native: Native, first: int, second: int) -> None:
    for name, width, operation in operations():
        mask = (1 << width) - 1
        a, b = operands_in_domain(name, first & mask, second & mask, width)
        expected = operation(IntegerValue(a, width), IntegerValue(b, width))
        assert native.functions[name](a, b) & (1 << expected.width) - 1 == expected.number, (name, a, b)
        builder = FunctionBuilder()
        folded = operation(builder.constant(a, width), builder.constant(b, width))
        assert (folded.number, folded.width) == (expected.number, expected.width), (name, a, b)
        assert not builder.lines, "constants are folded without emitting code"
