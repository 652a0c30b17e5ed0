"""Comparing outcomes, and saying what differed in a way that can be worked with."""

from __future__ import annotations

from tests.conformance.machine import Machine, Outcome, Start, differences
from translator.decode import disassemble


def compare(reference: Machine, machine: Machine, start: Start, seed: int) -> None:
    """Run on both; AssertionError as from `assert_equal`."""
    order = "big" if machine.big_endian else "little"
    mode = f"({order} endian, {'FR=1' if machine.wide_fpu else 'FR=0'})"
    expected, actual = reference.execute(start), machine.execute(start)
    assert_equal((reference.name, expected), (f"{machine.name} {mode}", actual), start, seed)


def assert_equal(expected: tuple[str, Outcome], actual: tuple[str, Outcome], start: Start, seed: int) -> None:
    """Two outcomes and who had them: AssertionError with seed, differences, program and initial registers."""
    lines = differences(expected[1], actual[1])
    if lines:
        head = f"seed {seed}: {actual[0]} differs from {expected[0]}"
        raise AssertionError("\n".join([head, *lines, "", *_listing(start), "", *_registers(start)]))


def _listing(start: Start) -> list[str]:
    return [
        f"{start.pc + 4 * k:#x}: {word:08x} {disassemble(word, start.pc + 4 * k)}"
        for k, word in enumerate(start.words)
    ]


def _registers(start: Start) -> list[str]:
    registers = start.registers
    lines = [f"hi={registers.hi:#x} lo={registers.lo:#x} fcsr={registers.fcsr:#x}"]
    for name, file in (("r", registers.gpr), ("f", registers.fpr)):
        lines += [
            " ".join(f"{name}{k}={file[k]:#x}" for k in range(first, first + 8)) for first in range(0, 32, 8)
        ]
    return lines
