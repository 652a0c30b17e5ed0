"""Register files of the reference engine: views of `CpuState` that give and take Values."""

from __future__ import annotations

from typing import Any

from translator.integers import IntegerValue


class GeneralRegisters:
    """The general registers; $zero stays 0."""

    def __init__(self, cells: Any, width: int) -> None:
        self._cells = cells
        self._width = width

    def __getitem__(self, register: int) -> IntegerValue:
        return IntegerValue(self._cells[register], self._width)

    def __setitem__(self, register: int, value: IntegerValue) -> None:
        assert value.width == self._width
        if register:
            self._cells[register] = value.number


class OneBitRegisters:
    """The FPU condition codes."""

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    def __getitem__(self, register: int) -> IntegerValue:
        return IntegerValue(self._cells[register], 1)

    def __setitem__(self, register: int, value: IntegerValue) -> None:
        assert value.width == 1
        self._cells[register] = value.number


class FloatWords:
    """32-bit halves of FPU doublewords (the layout of `CpuState.fpr`); writing one keeps the other.

    FR=1: the low (or high) word of a register. FR=0: the register itself, which is the low word of a pair if
    its number is even and the high word if odd; as high words, both numbers of a pair mean the odd register.
    """

    def __init__(self, cells: Any, wide: bool, high: bool = False) -> None:
        self._cells = cells
        self._wide = wide
        self._high = high

    def _place(self, register: int) -> tuple[int, int]:
        """Doubleword number and bit position."""
        if self._wide:
            return register, 32 * self._high
        return register >> 1, 32 * (self._high or register & 1)

    def __getitem__(self, register: int) -> IntegerValue:
        cell, shift = self._place(register)
        return IntegerValue(self._cells[cell] >> shift, 32)

    def __setitem__(self, register: int, value: IntegerValue) -> None:
        assert value.width == 32
        cell, shift = self._place(register)
        kept = self._cells[cell] & ~(0xFFFF_FFFF << shift)
        self._cells[cell] = kept | value.number << shift


class FloatDoublewords:
    """FPU doublewords: 32 registers (FR=1), or 16 even-odd pairs, each named by either number (FR=0)."""

    def __init__(self, cells: Any, wide: bool) -> None:
        self._cells = cells
        self._wide = wide

    def _place(self, register: int) -> int:
        return register if self._wide else register >> 1

    def __getitem__(self, register: int) -> IntegerValue:
        return IntegerValue(self._cells[self._place(register)], 64)

    def __setitem__(self, register: int, value: IntegerValue) -> None:
        assert value.width == 64
        self._cells[self._place(register)] = value.number
