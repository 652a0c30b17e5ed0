"""Whole machines that bare-metal images run on: QEMU's Malta, the reference, and ours."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MEMORY_MEGABYTES = 64
_SECONDS = 20


@dataclass(frozen=True)
class Ending:
    """How a run ended and what it wrote to the console."""

    status: int
    console: bytes


class SystemMachine(Protocol):
    """A machine with MEMORY_MEGABYTES of memory, made anew for each run."""

    name: str

    def run(self, image: Path, big_endian: bool) -> Ending:
        """Boot an image and wait until it resets the machine. Fails if it does not within _SECONDS."""


class QemuMalta:
    """QEMU's Malta board, whose third serial line is the UART of our platform.

    Time follows the instructions executed: the timer comes where it came last time, and none of it is lost (QEMU 7.2
    raises and acknowledges it in two threads that do not always exclude each other).
    """

    name = "qemu"

    def __init__(self, little_endian_program: str, big_endian_program: str) -> None:
        self._programs = (little_endian_program, big_endian_program)

    def run(self, image: Path, big_endian: bool) -> Ending:
        command = [self._programs[big_endian], "-M", "malta", "-cpu", "24Kf", "-m", f"{MEMORY_MEGABYTES}M"]
        command += [
            "-icount",
            "shift=1,sleep=off",
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-monitor",
            "none",
        ]
        command += ["-serial", "null", "-serial", "null", "-serial", "stdio", "-kernel", str(image)]
        return _run(command)


def _run(command: list[str]) -> Ending:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_SECONDS)
    return Ending(done.returncode, done.stdout)
