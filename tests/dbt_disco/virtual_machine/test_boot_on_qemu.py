"""Debian's generic kernel under QEMU, from the memory that our loader has laid out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.benchmark.boot_wrapper import wrap
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.virtual_machine import compressed_kernel
from dbt_disco.virtual_machine.boot_loader import load
from dbt_disco.virtual_machine.device_tree import Boot, device_tree
from tests.dbt_disco.console import converse

MEMORY_SIZE = 128 << 20
KERNEL_ADDRESS = 0x10_0000


@pytest.mark.slow
@pytest.mark.parametrize("extracts_itself", [False, True])
def test_to_a_shell(
    extracts_itself: bool,
    debian_guest: GuestFiles,
    tmp_path: Path,
    program: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if extracts_itself:
        for way in ("find", "recall"):
            monkeypatch.setattr(compressed_kernel, way, lambda *arguments: None)
    memory = load(debian_guest.kernel, MEMORY_SIZE, debian_guest.initramfs)
    assert (memory.pieces[0].address != KERNEL_ADDRESS) == extracts_itself
    tree = device_tree(Boot(MEMORY_SIZE, "console=ttyS0 nokaslr cryptomgr.notests=1 quiet", memory.initrd))
    (tmp_path / "boot").write_bytes(wrap(memory, tree))
    command = [program("qemu-system-mipsel"), "-M", "malta", "-cpu", "24Kf", "-m", str(MEMORY_SIZE >> 20)]
    command += ["-no-reboot", "-nodefaults", "-display", "none", "-monitor", "none"]
    command += ["-serial", "null", "-serial", "null", "-serial", "stdio", "-kernel", str(tmp_path / "boot")]
    shown = converse(command, "grep MemTotal /proc/meminfo; cat /proc/cmdline; exit\n")
    assert "MemTotal:" in shown and "\nconsole=ttyS0 nokaslr cryptomgr.notests=1 quiet" in shown
    assert "reboot: Restarting system" in shown
