"""The two sides, and how each boots a guest: `dbt-disco boot`, and QEMU's Malta."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.boot_wrapper import wrap
from dbt_disco.benchmark.engines import own_environment
from dbt_disco.virtual_machine.boot_loader import load
from dbt_disco.virtual_machine.device_tree import Boot, device_tree

QEMU: Final = "qemu-system-mipsel"
MEMORY_SIZE: Final = 256 << 20
"""Bytes of memory of every guest."""
_SEED: Final = bytes(range(32))
"""Seeds the guest's random numbers: under both the kernel finds one, and the same in every run of QEMU's."""
_QEMU_SERIAL_LINES: Final = {"first": 0, "platform": 2}
"""Which of Malta's serial lines is the console: that of the I/O controller, or the one our platform has, too."""


@dataclass(frozen=True)
class Guest:
    """What is booted."""

    kernel: Path
    initrd: Path | None = None
    command_line: str = ""
    disks: Sequence[Path] = field(default=())
    """Raw images. What the guest writes to them vanishes with it."""


def own_command(guest: Guest) -> list[str]:
    """The command line that boots a guest on our machine."""
    command = [sys.executable, "-m", "dbt_disco", "boot", "--memory", f"{MEMORY_SIZE >> 20}M"]
    command += ["--kernel", str(guest.kernel), "--append", guest.command_line]
    if guest.initrd is not None:
        command += ["--initrd", str(guest.initrd)]
    for disk in guest.disks:
        command += ["--drive", f"file={disk}"]
    return command


def environment(cache: Path) -> Mapping[str, str]:
    """Of our own process: the package that this is part of, and a cache."""
    return {**own_environment(), "XDG_CACHE_HOME": str(cache)}


def qemu_command(guest: Guest, console: str = "first") -> list[str]:
    """The command line that boots a guest on QEMU's Malta; `console` is one of the serial lines above."""
    command = [QEMU, "-M", "malta", "-cpu", "24Kf", "-m", f"{MEMORY_SIZE >> 20}M", "-no-reboot"]
    command += ["-nodefaults", "-display", "none", "-monitor", "none"]
    command += ["-serial", "null"] * _QEMU_SERIAL_LINES[console] + ["-serial", "stdio"]
    command += ["-kernel", str(guest.kernel)]
    if guest.command_line:
        command += ["-append", guest.command_line]
    if guest.initrd is not None:
        command += ["-initrd", str(guest.initrd)]
    for number, disk in enumerate(guest.disks):
        command += ["-drive", f"file={disk},format=raw,snapshot=on,if=none,id=disk{number}"]
        command += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return command


def wrapped(guest: Guest, file: Path) -> Guest:
    """The same guest, without disks, as one executable that QEMU loads as our machine would have; it is written to
    `file`. Its console is on the serial line that our platform has."""
    memory = load(guest.kernel, MEMORY_SIZE, guest.initrd)
    tree = device_tree(Boot(MEMORY_SIZE, guest.command_line, memory.initrd, random_seed=_SEED))
    file.write_bytes(wrap(memory, tree))
    return Guest(file)


def qemu_is_missing() -> str:
    """Why QEMU cannot be run here; empty if it can."""
    return (
        "" if shutil.which(QEMU) else f"{QEMU} is not installed; it is in Debian's package qemu-system-mips"
    )
