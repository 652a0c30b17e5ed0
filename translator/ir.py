"""LLVM IR as text: a function builder, and the value algebra that appends to it.

Text and `parse_assembly` build a block ten times faster than llvmlite's IR objects, and read better in a dump.
Constants are folded on the way, so that semantics written for run-time operands cost nothing when the operands
are constants.
"""

from __future__ import annotations

from translator.algebra import Value
from translator.integers import IntegerValue

FLOAT_TYPE = {32: "float", 64: "double"}


class FunctionBuilder:
    """The body of one LLVM function, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._fresh = 0
        self.suffix = ""
        """Appended to every emitted instruction: metadata such as `, !dbg !7`."""

    def fresh(self, prefix: str) -> str:
        """A new local name, `%prefix.N`."""
        self._fresh += 1
        return f"%{prefix}.{self._fresh}"

    def label(self, prefix: str) -> str:
        """A new block label, without the leading `%`."""
        return self.fresh(prefix)[1:]

    def emit(self, text: str) -> None:
        self.lines.append(f"  {text}{self.suffix}")

    def assign(self, prefix: str, text: str) -> str:
        """Emit `%prefix.N = text` and give the name."""
        name = self.fresh(prefix)
        self.emit(f"{name} = {text}")
        return name

    def block(self, label: str) -> None:
        """Start the block `label`; the previous one must have been ended by a terminator."""
        self.lines.append(f"{label}:")

    def value(self, prefix: str, text: str, width: int) -> IrValue:
        """Emit an assignment whose result is a bit vector."""
        return IrValue(self, self.assign(prefix, text), width)

    def constant(self, number: int, width: int) -> IrValue:
        number &= (1 << width) - 1
        return IrValue(self, str(number), width, number)

    def branch_if(self, condition: IrValue, if_true: str, if_false: str, *, unlikely: bool = False) -> None:
        """A conditional branch; `unlikely` marks the true side as cold (metadata !0 of the module)."""
        weights = ", !prof !0" if unlikely else ""
        self.emit(f"br i1 {condition.name}, label %{if_true}, label %{if_false}{weights}")


UNLIKELY_METADATA = '!0 = !{!"branch_weights", i32 1, i32 2000}'
"""Module metadata that `branch_if(unlikely=True)` refers to."""


class IrValue(Value):
    """A bit vector held in an LLVM local, or a constant (then `number` is set).

    It may have a floating-point twin: the same bits as `float` or `double`. Each form is made from the other at
    most once, so that values which only travel between floating-point operations are never cast.
    """

    __slots__ = ("_float_name", "_name", "builder", "displaced", "number")

    def __init__(
        self,
        builder: FunctionBuilder,
        name: str | None,
        width: int,
        number: int | None = None,
        float_name: str | None = None,
    ) -> None:
        self.builder = builder
        self.width = width
        self.number = number
        self._name = name
        self._float_name = float_name
        self.displaced: tuple[IrValue, int] | None = None
        """This value as a sum of another one and a constant, if it was made as one."""

    @classmethod
    def from_float(cls, builder: FunctionBuilder, float_name: str, width: int) -> IrValue:
        """The bits of the local `float_name`, a float (32) or double (64)."""
        return cls(builder, None, width, None, float_name)

    @property
    def name(self) -> str:
        """LLVM operand of integer type."""
        if self._name is None:
            cast = f"bitcast {FLOAT_TYPE[self.width]} {self._float_name} to i{self.width}"
            self._name = self.builder.assign("bits", cast)
        return self._name

    @property
    def is_float(self) -> bool:
        """Whether the value was produced as a floating-point number and not yet needed as bits."""
        return self._name is None

    def as_float(self) -> str:
        """LLVM operand of floating-point type with the same bits."""
        if self._float_name is None:
            cast = f"bitcast i{self.width} {self.name} to {FLOAT_TYPE[self.width]}"
            self._float_name = self.builder.assign("float", cast)
        return self._float_name

    def known_as(self, kind: str) -> str | None:
        """The operand of LLVM type `kind`, if the value already exists in that form."""
        return self._float_name if kind in ("float", "double") else self._name

    def typed(self) -> str:
        """Type and operand, as calls and stores want it."""
        return f"i{self.width} {self.name}"

    def constant(self, number: int, width: int) -> IrValue:
        return self.builder.constant(number, width)

    def _fold(self, result: IntegerValue) -> IrValue:
        return self.builder.constant(result.number, result.width)

    def binary(self, operation: str, other: IrValue) -> IrValue:
        a, b = self.number, other.number
        if a is not None and b is not None:
            return self._fold(IntegerValue(a, self.width).binary(operation, IntegerValue(b, self.width)))
        if b == 0 and operation in ("add", "sub", "or", "xor", "shl", "lshr", "ashr", "rotr"):
            return self
        if a == 0 and operation in ("add", "or", "xor"):
            return other
        kind = f"i{self.width}"
        if operation == "rotr":
            call = (
                f"call {kind} @llvm.fshr.{kind}({kind} {self.name}, {kind} {self.name}, {kind} {other.name})"
            )
            return self.builder.value("rotr", call, self.width)
        result = self.builder.value(operation, f"{operation} {kind} {self.name}, {other.name}", self.width)
        if operation == "add" and b is not None:
            result.displaced = self, b
        return result

    def compare(self, relation: str, other: IrValue) -> IrValue:
        if self.number is not None and other.number is not None:
            a, b = IntegerValue(self.number, self.width), IntegerValue(other.number, self.width)
            return self._fold(a.compare(relation, b))
        return self.builder.value(relation, f"icmp {relation} i{self.width} {self.name}, {other.name}", 1)

    def unary(self, operation: str) -> IrValue:
        if self.number is not None:
            return self._fold(IntegerValue(self.number, self.width).unary(operation))
        kind = f"i{self.width}"
        flag = ", i1 false" if operation == "ctlz" else ""
        return self.builder.value(
            operation, f"call {kind} @llvm.{operation}.{kind}({kind} {self.name}{flag})", self.width
        )

    def resize(self, kind: str, width: int) -> IrValue:
        if self.number is not None:
            return self._fold(IntegerValue(self.number, self.width).resize(kind, width))
        return self.builder.value(kind, f"{kind} i{self.width} {self.name} to i{width}", width)

    def select(self, if_true: IrValue, if_false: IrValue) -> IrValue:
        if self.number is not None:
            return if_true if self.number else if_false
        if if_true.is_float and if_false.is_float:
            kind = FLOAT_TYPE[if_true.width]
            text = f"select i1 {self.name}, {kind} {if_true.as_float()}, {kind} {if_false.as_float()}"
            return IrValue.from_float(self.builder, self.builder.assign("select", text), if_true.width)
        text = f"select i1 {self.name}, {if_true.typed()}, {if_false.typed()}"
        return self.builder.value("select", text, if_true.width)


def intrinsic_declarations(text: str) -> str:
    """Declarations of the integer intrinsics that `text` calls."""
    declarations = []
    for width in (8, 16, 32, 64, 128):
        kind = f"i{width}"
        signatures = {
            f"llvm.fshr.{kind}": f"{kind}, {kind}, {kind}",
            f"llvm.ctlz.{kind}": f"{kind}, i1",
            f"llvm.bswap.{kind}": kind,
        }
        declarations += [
            f"declare {kind} @{name}({arguments})"
            for name, arguments in signatures.items()
            if f"@{name}(" in text
        ]
    return "\n".join(declarations)


__all__ = ["UNLIKELY_METADATA", "FunctionBuilder", "IrValue", "intrinsic_declarations"]
