"""The benchmark programs: names, classes, scales, what to expect (`guests/bench/*.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCALES: Final = ("tiny", "short", "half", "full")
"""From the smallest to the largest amount of work; `programs.toml` says what they mean."""

FLOATING_POINT: Final = frozenset({"double", "single"})
"""The classes of programs that mostly compute with floating-point numbers."""

SOURCES: Final = Path(__file__).parent / "programs"
_PREBUILT: Final = Path(__file__).parent / "prebuilt" / "mipsel"
GUESTS: Final = _PREBUILT / "bench"
BARE_KERNEL: Final = _PREBUILT / "bare" / "kernel"
"""The bare-metal kernel with the programs that are made for it."""


@dataclass(frozen=True)
class Program:
    """One benchmark program."""

    name: str
    program_class: str
    arguments: dict[str, int]
    """The program's argument at each scale."""
    outputs: dict[str, str]
    """SHA-256 of the standard output at each scale."""
    instructions: dict[str, int]
    """How many instructions the guest executes at each scale."""
    is_bare: bool = False
    """Whether `BARE_KERNEL` has it, too."""

    @property
    def source(self) -> Path:
        return SOURCES / f"{self.name}.c"

    @property
    def guest(self) -> Path:
        """The little-endian static executable."""
        return GUESTS / self.name


def load_programs() -> dict[str, Program]:
    """All benchmark programs by name, in the order of their table, which groups them by class."""
    table = tomllib.loads((SOURCES / "programs.toml").read_text())
    expected = tomllib.loads((SOURCES / "expected.toml").read_text())
    return {
        name: Program(
            name,
            entry["class"],
            entry["scale"],
            {scale: expectation["output"] for scale, expectation in expected[name].items()},
            {scale: expectation["instructions"] for scale, expectation in expected[name].items()},
            entry.get("bare", False),
        )
        for name, entry in table.items()
    }
