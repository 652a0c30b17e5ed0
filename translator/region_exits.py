"""Where a region is left: one block for each routine it goes to, which all exits to that routine share.

The block stores every variable that may differ from the CPU state at any of its exits. If each exit had stores of
its own, they would be most of the region, and compiling them most of the time it takes to compile it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from translator.ir import FunctionBuilder, IrValue

Path = TypeVar("Path")
EXIT_SLOTS: Final = ("%exit.address", "%exit.clock")
"""Stack slots through which exits hand over where they go and the clock there."""


class RegionExits(Generic[Path]):
    """The exits of a region that is being emitted. `Path` tells the emitter how control came to an exit."""

    def __init__(self, builder: FunctionBuilder) -> None:
        self._builder = builder
        self._paths: dict[str, list[Path]] = {}

    def leave(self, routine: str, address: int | IrValue, clock: IrValue, path: Path) -> None:
        """End the IR block by going to `routine`, with the guest address it wants and the clock."""
        builder = self._builder
        wide = builder.constant(address, 64) if isinstance(address, int) else address.zext(64)
        builder.emit(f"store {wide.typed()}, ptr %exit.address")
        builder.emit(f"store {clock.typed()}, ptr %exit.clock")
        # LLVM must not merge this block with the next: what moves variables to where the exits store them from
        # would then stand in hot code.
        builder.emit('call void asm sideeffect "", ""()')
        builder.emit(f"br label %{_label(routine)}")
        self._paths.setdefault(routine, []).append(path)

    def emit(self, finish: Callable[[str, IrValue, IrValue, list[Path]], None]) -> None:
        """Emit the blocks; `finish` (routine, address, clock, paths) emits the body of each."""
        for routine, paths in self._paths.items():
            self._builder.block(_label(routine))
            address, clock = self._handed_over()
            finish(routine, address, clock, paths)

    def _handed_over(self) -> Iterator[IrValue]:
        for slot in EXIT_SLOTS:
            yield self._builder.value(slot[1:], f"load i64, ptr {slot}", 64)


def _label(routine: str) -> str:
    return f"exit_to_{routine}"
