"""Where the guest's stack pointer leads in host memory, kept as long as a region runs.

The stack pointer moves where functions begin and end, by constants mostly, and what is accessed through it lies close
above it. So the page is looked for when it has moved to another one; accesses only see whether there is a
host address: there is none if some of the region's accesses would be on the next page, or the page cannot be stored to.
A page that can be stored to can be loaded from, by the same slot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from translator.decode import Instruction
from translator.ir import FunctionBuilder, IrValue
from translator.region import Region
from translator.state import Access
from translator.system.access_groups import ACCESS_SIZE, AccessGroup
from translator.system.views import PAGE_SHIFT

STACK_POINTER: Final = 29
_LARGEST: Final = 512
"""Bytes above the stack pointer: the more there are, the likelier they straddle two pages."""
_ALIGNMENT_SHIFT: Final = 3
_ALIGNMENT: Final = 1 << _ALIGNMENT_SHIFT
"""The ABI's, and enough for every access."""
_PAGE: Final = 1 << PAGE_SHIFT

SlotOf = Callable[[IrValue, Access], IrValue]
"""What the table of a kind has for the page of an address."""


class StackFrame:
    """The stack slot `%frame` for the host address of the stack pointer, or 0."""

    def __init__(self, builder: FunctionBuilder, region: Region, *, enabled: bool = True) -> None:
        """If not `enabled`, nothing is accessed through it."""
        self._builder = builder
        ends = [
            instruction.offset + size
            for block in region.blocks.values()
            for _, instruction in block.instructions()
            if enabled
            and (size := ACCESS_SIZE.get(instruction.mnemonic))
            and instruction.base == STACK_POINTER
            and instruction.offset >= 0
            and instruction.offset % size == 0
        ]
        self._size: Final = max((end for end in ends if end <= _LARGEST), default=0)
        """Bytes from the stack pointer on that a host address is good for."""

    @property
    def is_used(self) -> bool:
        """Whether there is anything to be accessed."""
        return self._size > 0

    def holds(self, group: AccessGroup) -> bool:
        """Whether accesses need not be checked where there is a host address."""
        return (
            group.base == STACK_POINTER
            and group.low >= 0
            and group.high <= self._size
            and group.anchor % group.size == 0
        )

    def slots(self) -> list[str]:
        """Lines at the beginning of the region."""
        return [f"  %{name} = alloca i64" for name in ("frame", "frame.accessed")] if self.is_used else []

    def find(self, stack_pointer: IrValue, slot_of: SlotOf) -> None:
        """Look where the stack pointer leads now."""
        slot = slot_of(stack_pointer, Access.STORE)
        fits = slot.ne(0) & self._is_within(stack_pointer & _PAGE - 1, 0)
        found = fits.select(slot + stack_pointer.zext(64), self._builder.constant(0, 64))
        self._builder.emit(f"store {found.typed()}, ptr %frame")

    def _is_within(self, place: IrValue, advance: int) -> IrValue:
        """Whether the stack pointer, moved by `advance` from the place in a page, is aligned and what is above it lies
        on the same page. It never is at the very beginning, which is the place of "no host address"."""
        lowest = max(_ALIGNMENT, _ALIGNMENT - advance)
        highest = _PAGE - self._size - max(advance, 0)
        if lowest > highest:
            return self._builder.constant(0, 1)
        distance = (place - lowest).rotate_right(_ALIGNMENT_SHIFT)
        return distance.le_unsigned(highest - lowest >> _ALIGNMENT_SHIFT)

    def follow(self, instruction: Instruction, stack_pointer: IrValue, slot_of: SlotOf) -> None:
        """An instruction has changed the stack pointer, which is what it is now."""
        is_step = instruction.mnemonic == "addiu" and instruction.rs == STACK_POINTER
        if not is_step or instruction.imm % _ALIGNMENT:
            self.find(stack_pointer, slot_of)
            return
        builder = self._builder
        frame = self._host()
        stays = self._is_within(frame.trunc(32) & _PAGE - 1, instruction.imm)
        builder.emit(f"store {(frame + instruction.imm).typed()}, ptr %frame")
        elsewhere, same = builder.label("frame_elsewhere"), builder.label("frame_same")
        builder.branch_if(stays.eq(0), elsewhere, same, unlikely=True)
        builder.block(elsewhere)
        self.find(stack_pointer, slot_of)
        builder.emit(f"br label %{same}")
        builder.block(same)

    def access(self, group: AccessGroup, check: Callable[[], IrValue]) -> str:
        """The host address of a group's lowest byte. `check` emits how it is found without a frame."""
        builder = self._builder
        frame = self._host()
        builder.emit(f"store {frame.typed()}, ptr %frame.accessed")
        look, found = builder.label("no_frame"), builder.label("framed")
        builder.branch_if(frame.eq(0), look, found, unlikely=True)
        builder.block(look)
        builder.emit(f"store {(check() - group.low).typed()}, ptr %frame.accessed")
        builder.emit(f"br label %{found}")
        builder.block(found)
        base = builder.assign("accessed", "load ptr, ptr %frame.accessed")
        return builder.assign("group", f"getelementptr i8, ptr {base}, i64 {group.low}")

    def _host(self) -> IrValue:
        return self._builder.value("frame", "load i64, ptr %frame", 64)
