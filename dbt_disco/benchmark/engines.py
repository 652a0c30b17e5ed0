"""The engines the benchmark compares: how each runs a program, and why it may be absent here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dbt_disco
from dbt_disco.benchmark.program_table import SCALES, Program

NATIVE_FLAGS: Final = ("-O2", "-fno-tree-vectorize", "-ffp-contract=off")
"""How the host compiles the programs; no contraction, so that AArch64 hosts round as the guest does."""


@dataclass
class Engine:
    """One column of the table."""

    key: str
    title: str
    largest_scale: str = "full"
    """Slow engines run smaller scales; figures per instruction make them comparable."""
    absent: str = ""
    """Why the engine cannot be used here; empty if it can."""
    environment: dict[str, str] = field(default_factory=dict)

    def scale(self, requested: str) -> str:
        """The scale this engine runs when `requested` is asked for."""
        return min(requested, self.largest_scale, key=SCALES.index)

    def command(self, program: Program, scale: str) -> list[str]:
        """The command line of one run."""
        raise NotImplementedError


@dataclass
class OwnEngine(Engine):
    """`dbt-disco run --engine …`."""

    engine: str = ""

    def __post_init__(self) -> None:
        self.environment |= own_environment()

    def command(self, program: Program, scale: str) -> list[str]:
        launcher = [sys.executable, "-m", "dbt_disco", "run", "--engine", self.engine]
        return [*launcher, str(program.guest), str(program.arguments[scale])]


@dataclass
class NativeEngine(Engine):
    """The same C source compiled by the host's compiler."""

    directory: Path = Path()
    """Where the executables are kept."""

    def command(self, program: Program, scale: str) -> list[str]:
        return [str(self.directory / program.name), str(program.arguments[scale])]

    def compile(self, programs: list[Program]) -> None:
        """Compile the programs, unless there is a reason to be absent; a failure becomes that reason."""
        for program in programs:
            output = self.directory / program.name
            compiler = ["cc", *NATIVE_FLAGS, "-o", str(output), str(program.source), "-lm"]
            if self.absent:
                return
            done = subprocess.run(compiler, capture_output=True, text=True)
            if done.returncode != 0:
                self.absent = f"cc cannot compile {program.source.name}"


@dataclass
class QemuEngine(Engine):
    """QEMU's user mode emulator."""

    def command(self, program: Program, scale: str) -> list[str]:
        return ["qemu-mipsel", str(program.guest), str(program.arguments[scale])]


@dataclass
class UnicornEngine(Engine):
    """Unicorn, driven by `unicorn_process`."""

    def command(self, program: Program, scale: str) -> list[str]:
        launcher = [sys.executable, "-m", "dbt_disco.benchmark.unicorn_process"]
        return [*launcher, str(program.guest), str(program.arguments[scale])]


def own_environment() -> dict[str, str]:
    """What makes another process import the package that this is part of, compiled as in any installation.

    Also in a working directory that has one of its own.
    """
    root = str(Path(dbt_disco.__file__).parents[1])
    path = os.pathsep.join((root, *filter(None, [os.environ.get("PYTHONPATH")])))
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": ""}


def _missing_tool(name: str) -> str:
    return "" if shutil.which(name) else f"{name} is not installed"


def _missing_module(name: str) -> str:
    return "" if importlib.util.find_spec(name) else f"the Python package {name} is not installed"


def all_engines(directory: Path) -> dict[str, Engine]:
    """Every engine by key, in the order of the table's columns. `directory` takes what must be compiled."""
    engines: list[Engine] = [
        NativeEngine("native", "native", absent=_missing_tool("cc"), directory=directory),
        OwnEngine("translator", "translator", engine="auto"),
        OwnEngine("interpreter", "interpreter", largest_scale="half", engine="interpreter"),
        OwnEngine("reference", "reference", largest_scale="tiny", engine="reference"),
        QemuEngine("qemu", "qemu-mipsel", absent=_missing_tool("qemu-mipsel")),
        UnicornEngine("unicorn", "Unicorn", largest_scale="short", absent=_missing_module("unicorn")),
    ]
    return {engine.key: engine for engine in engines}
