"""Loads and stores through the translation tables: host address = slot of the virtual page + virtual address.

An empty slot or an unaligned address leaves by a side exit in front of the access, which is done again when the
slot has been filled.
"""

from __future__ import annotations

from collections.abc import Callable

from translator.ir import FunctionBuilder, IrValue
from translator.state import Access
from translator.system.views import PAGE_SHIFT, SLOT_SHIFT, TABLE_SHIFT
from translator.window_access import WindowAccess

Leave = Callable[[IrValue, Access, int], None]
"""End the current IR block by leaving for the slow path: address, kind, bytes."""


class TableAccess(WindowAccess):
    """The table strategy of the load/store builder; `view` is the operand that holds the view."""

    def __init__(self, builder: FunctionBuilder, view: str, big_endian: bool, leave: Leave) -> None:
        super().__init__(builder, view, big_endian, volatile=False)
        self._leave = leave
        self._kind = Access.LOAD
        self._width = 8
        self.reported: IrValue | None = None
        """What the accesses of the instruction are for, if that is not their own addresses."""

    def touch(self, address: IrValue) -> None:
        """Check that a byte could be loaded."""
        self._kind, self._width = Access.LOAD, 8
        self.pointer(address)

    def load(self, address: IrValue, width: int) -> IrValue:
        self._kind, self._width = Access.LOAD, width
        return super().load(address, width)

    def store(self, address: IrValue, value: IrValue) -> None:
        self._kind, self._width = Access.STORE, value.width
        super().store(address, value)

    def compare_exchange(self, address: IrValue, expected: IrValue, value: IrValue) -> IrValue:
        self._kind, self._width = Access.STORE, value.width
        return super().compare_exchange(address, expected, value)

    def pointer(self, address: IrValue) -> str:
        """Check the access that follows and give its host address."""
        builder = self._builder
        size = self._width // 8
        slot = self.slot(address, self._kind)
        if self.reported is not None:  # what is accessed is aligned, whatever it is for
            self._leave_if(slot.eq(0), self.reported, 1)
        else:
            self._leave_if(slot.eq(0), address, size)
            if size > 1:
                self._leave_if((address & size - 1).ne(0), address, size)
        host = slot + address.zext(64)
        return builder.assign("host", f"inttoptr i64 {host.name} to ptr")

    def slot(self, address: IrValue, kind: Access) -> IrValue:
        """What the table of `kind` has for the page of an address."""
        builder = self._builder
        page = address.shift_right(PAGE_SHIFT).zext(64)
        offset = (page << SLOT_SHIFT) + (int(kind) << TABLE_SHIFT)
        at = builder.assign("slot.at", f"getelementptr i8, ptr {self._memory}, i64 {offset.name}")
        return builder.value("slot", f"load i64, ptr {at}", 64)

    def _leave_if(self, condition: IrValue, address: IrValue, size: int) -> None:
        builder = self._builder
        slow, fast = builder.label("slow"), builder.label("fast")
        builder.branch_if(condition, slow, fast, unlikely=True)
        builder.block(slow)
        self._leave(address, self._kind, size)
        builder.block(fast)
