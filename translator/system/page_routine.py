"""A function builder for routines that work on `memmap` and `pmap`."""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.system.memory_map import MemoryMap, PhysicalMap
from translator.system.routine import Routine, argument
from translator.system.views import PAGE_SHIFT

VECTOR: Final = "<8 x i64>"
"""What pages are cleared, copied and compared by …"""
VECTOR_SIZE: Final = 64
"""… its bytes."""


class PageRoutine(Routine):
    """A routine that has parameters `map` (host address of the MemoryMap) and, mostly, `vm` (of the PhysicalMap)."""

    def field_at(self, name: str, index: IrValue | None = None) -> IrValue:
        """Host address of a field, or of an element of one."""
        base, structure = ("map", MemoryMap) if hasattr(MemoryMap, name) else ("vm", PhysicalMap)
        offset: int = getattr(structure, name).offset
        at = argument(self, base, 64) + offset
        return at if index is None else at + (index.zext(64) << 2)

    def get(self, name: str, index: IrValue | None = None) -> IrValue:
        """A field, or an element of one."""
        structure = MemoryMap if hasattr(MemoryMap, name) else PhysicalMap
        width = 32 if index is not None else 8 * getattr(structure, name).size
        return self.load(self.field_at(name, index), width)

    def add(self, name: str, amount: int, index: IrValue | None = None) -> None:
        """Count up or down."""
        self.store(self.field_at(name, index), self.get(name, index) + amount)

    def of_page(self, array: str, page: IrValue) -> IrValue:
        """Host address of an element of `users` or `heads`."""
        return self.get(array) + (page.zext(64) << 2)

    def link_at(self, place: IrValue) -> IrValue:
        """Host address of a place's link."""
        return self.get("links") + (place.zext(64) << 3)

    def of_frame(self, array: str, frame: IrValue) -> IrValue:
        """Host address of an element of `frozen_at` or `copied_at`."""
        return self.get(array) + (frame.zext(64) << 2)

    def call(self, name: str, width: int, *values: IrValue) -> IrValue:
        typed = ", ".join(value.typed() for value in values)
        return self.value(name, f"call i{width} @{name}({typed})", width)

    def call_for_effect(self, name: str, *values: IrValue) -> None:
        self.emit(f"call void @{name}({', '.join(value.typed() for value in values)})")

    def function(self, name: str, result: str, parameters: str = "", attributes: str = "") -> str:
        body = "\n".join(self.lines)
        return f"define dso_local {result} @{name}({parameters}) nounwind {attributes} {{\n{body}\n}}\n"

    def code_flags(self, page: IrValue) -> IrValue:
        """What is derived from the code of a machine page."""
        return self.load(self.get("code_flags") + page.zext(64), 8)

    def word_at(self, frame: IrValue) -> IrValue:
        """Host address of a physical page's word."""
        return self.get("pmap") + (frame.zext(64) << 3)

    def machine_page(self, word: IrValue) -> IrValue:
        """The machine page in a word of pmap."""
        return (word - self.get("machine_base")).shift_right(PAGE_SHIFT).trunc(32)

    @property
    def map(self) -> IrValue:
        """The parameter, to be handed on."""
        return argument(self, "map", 64)

    @property
    def vm(self) -> IrValue:
        """The parameter, to be handed on."""
        return argument(self, "vm", 64)

    def enter(self, frame: IrValue, page: IrValue, flags: IrValue) -> None:
        """Map a page at a physical page that has none."""
        host = self.get("machine_base") + (page.zext(64) << PAGE_SHIFT)
        self.store(self.word_at(frame), host | flags)
        self.call_for_effect("link", self.map, self.get("first_place") | frame, page)
        self.add("mapped", 1)

    def leave(self, frame: IrValue, page: IrValue) -> None:
        """Drop the mapping of a page at a physical page, and the translations to it."""
        heads = self.get("slot_heads")
        with self.when(heads.ne(0)):
            head_at = heads + (frame.zext(64) << 2)
            with self.when(self.load(head_at, 32).ne(0)):
                self.call_for_effect("zap", self.vm, head_at)
        self.store(self.word_at(frame), self.constant(0, 64))
        self.call_for_effect("unlink", self.map, self.get("first_place") | frame, page)
        self.call("release", 32, self.map, page)
        self.add("mapped", -1)

    def copy_contents(self, page: IrValue, fresh: IrValue) -> None:
        """What is on a page to another."""
        base = self.get("machine_base")
        source, target = (base + (number.zext(64) << PAGE_SHIFT) for number in (page, fresh))
        with self.repeat((1 << PAGE_SHIFT) // VECTOR_SIZE) as turn:
            offset = turn.zext(64) * VECTOR_SIZE
            pointers = [self.pointer(address + offset) for address in (source, target)]
            loaded = self.assign("loaded", f"load {VECTOR}, ptr {pointers[0]}, align {VECTOR_SIZE}")
            self.emit(f"store {VECTOR} {loaded}, ptr {pointers[1]}, align {VECTOR_SIZE}")
