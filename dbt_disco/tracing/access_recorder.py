"""Finding out what an instruction is about to access."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

from runtime.reference import ReferenceEngine
from translator.integers import IntegerValue

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu


class Access(NamedTuple):
    """One access to memory."""

    is_write: bool
    address: int
    size: int
    """In bytes."""
    value: int

    def __str__(self) -> str:
        return f"{'W' if self.is_write else 'R'}{self.size} {self.address:08x} {self.value:0{2 * self.size}x}"


class AccessRecorder(ReferenceEngine):
    """A reference engine that does an instruction on a copy of the state and keeps memory as it is."""

    def __init__(self, vcpu: AnyVcpu) -> None:
        super().__init__(vcpu.address_space, big_endian=vcpu.big_endian, wide_fpu=vcpu.wide_fpu)
        self._vcpu = vcpu
        self._accesses: list[Access] = []

    def accesses(self) -> list[Access]:
        """What the instruction at the vCPU's pc will access, if it completes."""
        self._accesses = []
        self.wide_fpu = self._vcpu.wide_fpu
        ctypes.memmove(
            ctypes.addressof(self.state), ctypes.addressof(self._vcpu.state), ctypes.sizeof(self.state)
        )
        self.step()
        return self._accesses

    def load(self, address: IntegerValue, width: int) -> IntegerValue:
        """Noted and done."""
        value = super().load(address, width)
        self._accesses.append(Access(False, address.number, width // 8, value.number))
        return value

    def store(self, address: IntegerValue, value: IntegerValue) -> None:
        """Noted, not done."""
        self._accesses.append(Access(True, address.number, value.width // 8, value.number))
