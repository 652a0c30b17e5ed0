"""A function builder for the routines of system mode: fields by name, structured control."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from translator.ir import FunctionBuilder, IrValue
from translator.native_cpu import CONVENTION, PARAMETERS, SCALAR_WIDTH, field_pointer, load_field, store_field
from translator.state import FIELDS, OFFSET, CpuState

ARGUMENTS = "ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias"
"""Of a tail call that passes on what it was given."""

_TERMINATORS = ("ret ", "br ", "unreachable", "switch ")
_ELEMENT_WIDTH: Final[dict[str, int]] = {
    name: 8 * getattr(CpuState, name).size // kind._length_
    for name, kind, _ in FIELDS
    if hasattr(kind, "_length_")
}


class Variable:
    """A variable of a routine that loops may change; 0 at first."""

    def __init__(self, routine: Routine, name: str, width: int) -> None:
        self._routine: Final = routine
        self._width: Final = width
        self._pointer: Final = routine.assign(name, f"alloca i{width}")
        self.set(routine.constant(0, width))

    def get(self) -> IrValue:
        """What it is now."""
        return self._routine.value("so_far", f"load i{self._width}, ptr {self._pointer}", self._width)

    def set(self, value: IrValue) -> None:
        """From now on."""
        self._routine.emit(f"store {value.typed()}, ptr {self._pointer}")

    def add(self, amount: IrValue | int) -> None:
        """Count up."""
        self.set(self.get() + amount)


class Routine(FunctionBuilder):
    """The body of one routine. `%state` is a parameter of every one."""

    def read(self, field: str) -> IrValue:
        """A scalar field of the CPU state."""
        width = SCALAR_WIDTH[field]
        return IrValue(self, load_field(self, field, f"i{width}"), width)

    def write(self, field: str, value: IrValue | int) -> None:
        if isinstance(value, int):
            value = self.constant(value, SCALAR_WIDTH[field])
        store_field(self, field, value.typed())

    def increment(self, field: str) -> None:
        """Count an event."""
        self.write(field, self.read(field) + 1)

    def element(self, field: str, index: IrValue) -> IrValue:
        """An element of an array field."""
        width = self._element_width(field)
        return self.value(field, f"load i{width}, ptr {self.element_pointer(field, index)}", width)

    def set_element(self, field: str, index: IrValue, value: IrValue) -> None:
        self.emit(f"store {value.typed()}, ptr {self.element_pointer(field, index)}")

    def element_pointer(self, field: str, index: IrValue) -> str:
        """The address of an element of an array field."""
        offset = index.zext(64) * (self._element_width(field) // 8) + OFFSET[field]
        return self.assign("element", f"getelementptr i8, ptr %state, i64 {offset.name}")

    @staticmethod
    def _element_width(field: str) -> int:
        return _ELEMENT_WIDTH[field]

    def field_address(self, field: str) -> IrValue:
        """The host address of a field."""
        return self.integer(field_pointer(self, field))

    def variable(self, name: str, width: int = 32) -> Variable:
        """A new one; outside of loops."""
        return Variable(self, name, width)

    def integer(self, pointer: str) -> IrValue:
        """A pointer as a number."""
        return self.value("address", f"ptrtoint ptr {pointer} to i64", 64)

    def pointer(self, address: IrValue) -> str:
        """A host address as a pointer."""
        return self.assign("pointer", f"inttoptr i64 {address.name} to ptr")

    def load(self, address: IrValue, width: int) -> IrValue:
        """`width` bits at a host address."""
        return self.value("loaded", f"load i{width}, ptr {self.pointer(address)}", width)

    def store(self, address: IrValue, value: IrValue) -> None:
        """Store at a host address."""
        self.emit(f"store {value.typed()}, ptr {self.pointer(address)}")

    def publish(self, address: IrValue, value: IrValue) -> None:
        """Store at a host address what tells another thread that all stored before is there."""
        at = self.pointer(address)
        self.emit(f"store atomic {value.typed()}, ptr {at} release, align {value.width // 8}")

    def call(self, name: str, width: int, *values: IrValue) -> IrValue:
        """Call another routine of the C convention with state and values; its result."""
        typed = "".join(f", {value.typed()}" for value in values)
        return self.value(name, f"call i{width} @{name}(ptr %state{typed})", width)

    def call_for_effect(self, name: str, *values: IrValue) -> None:
        """Call another routine of the C convention that gives nothing back."""
        typed = "".join(f", {value.typed()}" for value in values)
        self.emit(f"call void @{name}(ptr %state{typed})")

    def tail_call(self, name: str, arguments: str = ARGUMENTS) -> None:
        """End here by going to another routine of tier 0's convention."""
        self.emit(f"musttail call {CONVENTION} void @{name}({arguments})")
        self.emit("ret void")

    def dispatch(self, entry: IrValue, following: IrValue, bias: IrValue) -> None:
        """End here by executing an entry."""
        handler = self.pointer(self.integer("%handlers") + self.load(entry, 32).zext(64))
        at, after = self.pointer(entry), self.pointer(following)
        self.emit(
            f"musttail call {CONVENTION} void {handler}"
            f"(ptr %state, ptr %memory, ptr %handlers, ptr {at}, ptr {after}, i64 {bias.name})"
        )
        self.emit("ret void")

    def give(self, value: IrValue | int, width: int = 32) -> None:
        """Return a value."""
        if isinstance(value, int):
            value = self.constant(value, width)
        self.emit(f"ret {value.typed()}")

    def finish(self) -> None:
        """Return nothing."""
        self.emit("ret void")

    @property
    def is_ended(self) -> bool:
        """Whether the last line leaves the IR block."""
        return bool(self.lines) and self.lines[-1].lstrip().startswith(_TERMINATORS)

    @contextmanager
    def when(self, condition: IrValue, *, unlikely: bool = False) -> Iterator[None]:
        """What is emitted inside is done if `condition`; control rejoins behind it unless it has left."""
        inside, behind = self.label("when"), self.label("behind")
        self.branch_if(condition, inside, behind, unlikely=unlikely)
        self.block(inside)
        yield
        if not self.is_ended:
            self.emit(f"br label %{behind}")
        self.block(behind)

    @contextmanager
    def repeat(self, count: IrValue | int) -> Iterator[IrValue]:
        """A loop that is done at least once; gives the number of the turn, 32 bits wide."""
        if isinstance(count, int):
            count = self.constant(count, 32)
        before, turn, behind = self.label("before"), self.label("turn"), self.label("behind")
        name, following = self.fresh("number"), self.fresh("following")
        self.emit(f"br label %{before}")
        self.block(before)
        self.emit(f"br label %{turn}")
        self.block(turn)
        latch = self.label("latch")
        self.emit(f"{name} = phi i32 [ 0, %{before} ], [ {following}, %{latch} ]")
        yield IrValue(self, name, 32)
        if not self.is_ended:
            self.emit(f"br label %{latch}")
        self.block(latch)
        self.emit(f"{following} = add i32 {name}, 1")
        again = IrValue(self, following, 32).lt_unsigned(count)
        self.branch_if(again, turn, behind)
        self.block(behind)

    def routine(self, name: str, attributes: str = "nounwind") -> str:
        """The definition of a routine of tier 0's convention, with this body."""
        body = "\n".join(self.lines)
        return f"define dso_local {CONVENTION} void @{name}({PARAMETERS}) {attributes} {{\n{body}\n}}\n"

    def function(self, name: str, result: str, parameters: str = "", attributes: str = "") -> str:
        """The definition of a function of the C convention, with this body; `parameters` follow %state."""
        body = "\n".join(self.lines)
        return f"define {result} @{name}(ptr %state{parameters}) nounwind {attributes} {{\n{body}\n}}\n"


def argument(builder: FunctionBuilder, name: str, width: int = 32) -> IrValue:
    """A parameter of the routine as a value."""
    return IrValue(builder, f"%{name}", width)
