"""Programs for the bare machine, small enough to be assembled here; raw images, which start at 0x80100000.

r8 is the platform's devices in KSEG1: the UART at 0x900, the reset register at 0x500.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from tests.conformance.assembler import assemble

PREBUILT: Final = Path(__file__).parents[3] / "guests" / "prebuilt"
"""Images with sources, by byte order: PREBUILT / "mipsel" / "system" / "hello"."""
HELLO: Final = PREBUILT / "mipsel" / "system" / "hello"


def raw_image(*lines: str, big_endian: bool = False) -> bytes:
    """The words of a program, in which `name:` is a label that branches can name."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in lines:
        if line.endswith(":"):
            labels[line[:-1]] = len(instructions)
        else:
            instructions.append(line)
    words = (assemble(_resolved(line, place, labels)) for place, line in enumerate(instructions))
    return struct.pack(f"{'>' if big_endian else '<'}{len(instructions)}I", *words)


def _resolved(instruction: str, place: int, labels: dict[str, int]) -> str:
    """With the distance in place of a label that ends it."""
    body, space, last = instruction.rpartition(" ")
    return f"{body} {labels[last] - place - 1}" if space and last in labels else instruction


HALT: Final = ("di r0", "end:", "wait", "beq r0, r0, end", "nop")
"""The end of a program: BareMachine.run returns "stop WAIT"."""

RESET: Final = ("lui r8, 0xbf00", "addiu r9, r0, 0x42", "sw r9, 0x500(r8)", "end:", "beq r0, r0, end", "nop")

ECHO: Final = (
    "lui r8, 0xbf00",
    "addiu r9, r0, 1",
    "sb r9, 0x908(r8)",  # interrupts for received characters
    "ori r9, r0, 0x1000",  # unmasked, but not taken: they end `wait`
    "mtc0.status r9",
    "next:",
    "wait",
    "lbu r10, 0x900(r8)",
    "sb r10, 0x900(r8)",
    "addiu r11, r0, 0x71",
    "bne r10, r11, next",
    "nop",
    *RESET,
)
"""Sends what it receives, and resets after `q`; it executes nothing meanwhile."""

POLLING_ECHO: Final = (
    "lui r8, 0xbf00",
    "poll:",
    "lbu r10, 0x928(r8)",
    "andi r10, r10, 1",
    "beq r10, r0, poll",
    "nop",
    "lbu r10, 0x900(r8)",
    "sb r10, 0x900(r8)",
    "addiu r11, r0, 0x71",
    "bne r10, r11, poll",
    "nop",
    *RESET,
)
"""The same, and never idle."""

ENDLESS: Final = {
    "a branch to itself": ("here:", "beq r0, r0, here", "nop"),
    "a branch likely to itself": ("here:", "beql r0, r0, here", "nop"),
    "a register jump to itself": ("lui r8, 0x8010", "ori r8, r8, 8", "jr r8", "nop"),
    "an exception in the exception handler": (
        "lui r8, 0x8000",
        "addiu r9, r0, 0x0c",  # syscall, at the general vector
        "sw r9, 0x180(r8)",
        "mtc0.status r0",
        "nop",
        "syscall",
    ),
    "eret to itself": ("lui r8, 0x8010", "ori r8, r8, 12", "mtc0.epc r8", "eret"),
    "waiting for a device that says nothing": (
        "ori r9, r0, 0x0400",
        "mtc0.status r9",
        "nop",
        "here:",
        "wait",
        "beq r0, r0, here",
        "nop",
    ),
    "stores to its own code": ("lui r8, 0x8010", "here:", "sw r0, 16(r8)", "beq r0, r0, here", "nop"),
    "reading a device": ("lui r8, 0xbf00", "here:", "lbu r9, 0x928(r8)", "beq r0, r0, here", "nop"),
    "printing": ("lui r8, 0xbf00", "here:", "sb r8, 0x900(r8)", "beq r0, r0, here", "nop"),
}
"""What it does for ever, with interrupts off → program."""


def monitor_call(number: int) -> tuple[str, ...]:
    """A call with what is in the argument registers."""
    return (f"addiu r2, r0, {number}", "hypcall")
