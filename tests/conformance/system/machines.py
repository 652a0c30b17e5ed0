"""Whole machines that bare-metal images run on: QEMU's Malta, the reference, and ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MEMORY_MEGABYTES = 64
_SECONDS = 60


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
    BOARD = f"-M malta -m {MEMORY_MEGABYTES}M -icount shift=1,sleep=off -no-reboot"
    DEVICES = "-nodefaults -display none -monitor none -serial null -serial null -serial stdio"

    def __init__(
        self, little_endian_program: str, big_endian_program: str, options: str = "-cpu 24Kf"
    ) -> None:
        self._programs = (little_endian_program, big_endian_program)
        self._options = options

    def run(self, image: Path, big_endian: bool) -> Ending:
        options = f"{self.BOARD} {self._options} {self.DEVICES}".split()
        return _run([self._programs[big_endian], *options, "-kernel", str(image)])


class BootCommand:
    """Our virtual machine with one engine, as `dbt-disco boot` starts it.

    Its time follows instructions, too, unless `clock` is `host`.
    """

    def __init__(self, engine: str, options: str = "", clock: str = "instructions") -> None:
        self.name = engine
        self._options = f"--engine {engine} --clock {clock} {options}"

    def run(self, image: Path, big_endian: bool) -> Ending:
        """The image's own header tells the byte order."""
        options = f"--memory {MEMORY_MEGABYTES}M {self._options}".split()
        return _run([sys.executable, "-m", "dbt_disco", "boot", *options, "--kernel", str(image)])


def _run(command: list[str]) -> Ending:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_SECONDS)
    return Ending(done.returncode, done.stdout)
