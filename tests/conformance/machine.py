"""One interface to every engine under test and to the references: set a state, run to the next stop, look.

The guest has a code page, a data area of two pages between unmapped ones, and a page it may only read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

CODE = 0x0040_0000
CODE_SIZE = 0x2000
DATA = 0x1000_0000
DATA_SIZE = 0x2000
READ_ONLY = 0x1001_0000
READ_ONLY_SIZE = 0x1000
BREAK = 0x0000_000D
"""The word that fills the rest of the code area."""


@dataclass
class Registers:
    """Everything a user program can see of the CPU, apart from its pc."""

    gpr: list[int] = field(default_factory=lambda: [0] * 32)
    hi: int = 0
    lo: int = 0
    fpr: list[int] = field(default_factory=lambda: [0] * 32)
    """FR=1: 64-bit registers. FR=0: 32-bit registers."""
    fcsr: int = 0


@dataclass
class Outcome:
    """Where and why an execution stopped, and the state then."""

    event: str
    """`exception BP`, `fault`, …"""
    pc: int
    in_delay_slot: bool
    bad_address: int | None
    """Of a memory fault or address error; None if there is none, or if the machine does not tell."""
    retired: int
    """Instructions completed."""
    registers: Registers
    data: bytes


@dataclass(frozen=True)
class Start:
    """What to execute, and from where."""

    words: tuple[int, ...]
    """Instructions from CODE + `entry` on."""
    registers: Registers
    data: bytes = bytes(DATA_SIZE)
    read_only: bytes = bytes(READ_ONLY_SIZE)
    entry: int = 0
    user_local: int = 0

    def code(self, big_endian: bool) -> bytes:
        """The code area in guest byte order."""
        order = "big" if big_endian else "little"
        words = [BREAK] * (CODE_SIZE // 4)
        words[self.entry // 4 : self.entry // 4 + len(self.words)] = self.words
        return b"".join(word.to_bytes(4, order) for word in words)

    @property
    def pc(self) -> int:
        return CODE + self.entry


class Machine(Protocol):
    """An engine or a reference, with a fixed byte order and FPU register mode."""

    name: str
    big_endian: bool
    wide_fpu: bool

    def execute(self, start: Start) -> Outcome:
        """Run until an exception or a fault stops the program."""


def differences(expected: Outcome, actual: Outcome) -> list[str]:
    """What differs, one line each; empty if nothing does."""
    lines = []
    for name in ("event", "pc", "in_delay_slot", "bad_address", "retired"):
        a, b = getattr(expected, name), getattr(actual, name)
        if a != b and (name != "bad_address" or None not in (a, b)):
            lines.append(f"{name}: {_show(a)} expected, {_show(b)} found")
    lines += _register_differences(expected.registers, actual.registers)
    for k, (a, b) in enumerate(zip(expected.data, actual.data, strict=True)):
        if a != b:
            lines.append(f"byte {DATA + k:#x}: {a:#04x} expected, {b:#04x} found")
    return lines


def _register_differences(expected: Registers, actual: Registers) -> list[str]:
    lines = []
    for name in ("gpr", "fpr"):
        for number, (a, b) in enumerate(zip(getattr(expected, name), getattr(actual, name), strict=True)):
            if a != b:
                lines.append(f"{name[0]}{number}: {a:#x} expected, {b:#x} found")
    for name in ("hi", "lo", "fcsr"):
        a, b = getattr(expected, name), getattr(actual, name)
        if a != b:
            lines.append(f"{name}: {a:#x} expected, {b:#x} found")
    return lines


def _show(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
