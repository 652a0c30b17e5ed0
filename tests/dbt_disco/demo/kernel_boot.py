"""Booting our own guest kernel, and reading what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dbt_disco.demo.disk_image import generated_volume
from dbt_disco.demo.guest_kernel import KERNEL
from tests.dbt_disco.commands.command import Done, command

SMALL_VOLUME = generated_volume({"one": 4096, "two": 1_001, "none": 0}, 16)
"""For engines that are slow."""
VOLUME = generated_volume({"first": 200_000, "second": 1 << 20, "third": (2 << 20) + 3}, 300)
"""Files of less, exactly and more than one request."""


def boot(
    task: str, *options: object, kernel: Path = KERNEL, memory: str = "32M", engine: str = "auto"
) -> Done:
    """Run the kernel with a command line, `options` as of `dbt-disco boot`."""
    words = ("--memory", memory, "--kernel", kernel, "--engine", engine, "--append", task, *options)
    return command("boot", *words, stdin=subprocess.DEVNULL)


def results(done: Done) -> list[str]:
    """The lines that are the same on every machine given the same work."""
    lines = done.output.splitlines()
    return [line for line in lines if not line.startswith(("kernel: ", "statistics: "))]


def errors(done: Done) -> list[str]:
    """What the kernel says is wrong."""
    assert done.errors == ""
    return [line.removeprefix("error: ") for line in done.output.splitlines() if line.startswith("error: ")]
