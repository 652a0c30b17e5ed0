"""The page on which the last access through a register was, and its slot: kept as long as a region runs.

Through most registers, loops go step by step, or always to the same place. An access compares the page of its address
with that of the last one, which checks its alignment as well; only where they differ does it look into the tables.
Inside a region nobody empties slots, and nobody switches views. Registers that hold pointers loaded from data
structures lead from page to page: accesses through them always look, and so do those for which the stack pointer has
no host address (`stack_frame.py`).
"""

from __future__ import annotations

from typing import Final

from translator.ir import FunctionBuilder, IrValue
from translator.region import Region
from translator.state import Access
from translator.system.stack_frame import STACK_POINTER
from translator.system.views import PAGE_SHIFT

_NO_PAGE: Final = 1 << 32
"""No address has it."""


class RememberedPages:
    """The stack slots for them, which SROA turns into values."""

    def __init__(self, region: Region) -> None:
        self._used: set[str] = set()
        self._leading_elsewhere = frozenset({STACK_POINTER}) | frozenset(
            instruction.rt
            for block in region.blocks.values()
            for _, instruction in block.instructions()
            if instruction.mnemonic == "lw" and instruction.base != STACK_POINTER
        )

    def through(
        self, builder: FunctionBuilder, base: int, address: IrValue, kind: Access
    ) -> RememberedPage | None:
        """For an access through a register; None if it should always look into the tables.

        The slot of a constant address is at a constant place.
        """
        if base in self._leading_elsewhere or address.number is not None:
            return None
        name = f"r{base}.{kind.name.lower()}"
        self._used.add(name)
        return RememberedPage(builder, name)

    def prologue(self) -> list[str]:
        """Lines at the beginning of the region."""
        lines = []
        for name in sorted(self._used):
            lines += [f"  %page.{name} = alloca i64", f"  %slot.{name} = alloca i64"]
            lines += [f"  store i64 {_NO_PAGE}, ptr %page.{name}", f"  store i64 0, ptr %slot.{name}"]
        return lines


class RememberedPage:
    """Of one register and kind of access."""

    def __init__(self, builder: FunctionBuilder, name: str) -> None:
        self._builder = builder
        self._name = name

    def differs(self, address: IrValue, size: int) -> IrValue:
        """Whether an address is on another page, or is no multiple of `size`."""
        page = self._builder.value("page", f"load i64, ptr %page.{self._name}", 64)
        return ((address.zext(64) ^ page) & (-1 << PAGE_SHIFT | size - 1)).ne(0)

    @property
    def slot(self) -> IrValue:
        return self._builder.value("slot", f"load i64, ptr %slot.{self._name}", 64)

    def remember(self, address: IrValue, slot: IrValue) -> None:
        page = address.zext(64) & -1 << PAGE_SHIFT
        self._builder.emit(f"store {page.typed()}, ptr %page.{self._name}")
        self._builder.emit(f"store {slot.typed()}, ptr %slot.{self._name}")
