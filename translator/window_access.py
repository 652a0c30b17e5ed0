"""Loads and stores through the window: host address = memory base + guest virtual address.

No check stands before an access. What it would have caught is caught by the host's memory protection
(`runtime.host_faults`).

base + displacement is added in 64 bits, for which the host needs no instruction. Where it should have wrapped around
to the other end of the address space, the access falls into the guards around the window, and faults as it would at
the wrapped address: at the top of the window nothing is ever mapped, and for a guest that maps something at its
bottom, code is precise, and then adds in 32 bits.
"""

from __future__ import annotations

from typing import Final

from translator.ir import FunctionBuilder, IrValue

MAX_DISPLACEMENT: Final = 1 << 15
"""Displacements are signed 16-bit numbers; the guards around the window are larger."""


class WindowAccess:
    """The window strategy of the load/store builder; `memory` is the operand that holds the base.

    Unless `volatile`, LLVM may drop a load whose value is not used, and with it the fault it might have, or move
    stores to the CPU state across an access. But it can then fold loads into arithmetic.
    """

    def __init__(self, builder: FunctionBuilder, memory: str, big_endian: bool, *, volatile: bool) -> None:
        self._volatile = "volatile " if volatile else ""
        self._builder = builder
        self._memory = memory
        self._big_endian = big_endian

    def pointer(self, address: IrValue) -> str:
        extended = self._extended(address)
        return self._builder.assign("host", f"getelementptr i8, ptr {self._memory}, i64 {extended.name}")

    def _extended(self, address: IrValue) -> IrValue:
        """`address` in 64 bits, its displacement left to the host's addressing mode."""
        if address.displaced is None or self._volatile:
            return address.zext(64)
        base, constant = address.displaced
        displacement = (constant ^ 0x8000_0000) - 0x8000_0000
        if not -MAX_DISPLACEMENT <= displacement < MAX_DISPLACEMENT:
            return address.zext(64)
        return base.zext(64) + displacement

    def load(self, address: IrValue, width: int) -> IrValue:
        pointer = self.pointer(address)
        value = self._builder.value("load", f"load {self._volatile}i{width}, ptr {pointer}, align 1", width)
        return self._in_guest_order(value)

    def store(self, address: IrValue, value: IrValue) -> None:
        pointer = self.pointer(address)
        ordered = self._in_guest_order(value)
        if ordered.is_float:
            kind = "float" if ordered.width == 32 else "double"
            self._builder.emit(f"store {self._volatile}{kind} {ordered.as_float()}, ptr {pointer}, align 1")
        else:
            self._builder.emit(f"store {self._volatile}{ordered.typed()}, ptr {pointer}, align 1")

    def compare_exchange(self, address: IrValue, expected: IrValue, value: IrValue) -> IrValue:
        """Store `value` if memory holds `expected`; whether it did, width 1."""
        pointer = self.pointer(address)
        pair = self._builder.assign(
            "exchange",
            f"cmpxchg {self._volatile}ptr {pointer}, {self._in_guest_order(expected).typed()}, "
            f"{self._in_guest_order(value).typed()} seq_cst seq_cst",
        )
        return self._builder.value("stored", f"extractvalue {{ i{value.width}, i1 }} {pair}, 1", 1)

    def _in_guest_order(self, value: IrValue) -> IrValue:
        return value.byte_swap() if self._big_endian and value.width > 8 else value
