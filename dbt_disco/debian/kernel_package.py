"""What the guest needs of Debian's kernel package: the kernel, and a few of its modules."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbt_disco.debian import deb_file
from dbt_disco.debian.fetch_error import FetchError

_BUS: Final = ("virtio", "virtio_ring")
_DRIVERS: Final = (
    "virtio_blk",
    *("crc16", "crc32c_generic", "mbcache", "jbd2", "ext4"),
    *("virtio_balloon", "failover", "net_failover", "virtio_net", "virtio-rng", "virtio_console"),
)

MODULES: Final = (*_BUS, "virtio_mmio", *_DRIVERS)
"""What Debian's generic kernel needs to use the platform's devices and the root disk, in the order to load them."""

MALTA_MODULES: Final = (*_BUS, "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", *_DRIVERS)
"""The same on QEMU's Malta, where virtio devices are on the PCI bus."""


@dataclass(frozen=True)
class KernelPackage:
    """The interesting part of a kernel package."""

    vmlinuz: bytes
    modules: dict[str, bytes]
    """File name (`ext4.ko`) → contents, in the order to load them."""


def read_kernel_package(package: Path, modules: Sequence[str] = MODULES) -> KernelPackage:
    """Take the kernel and `modules` out of a package.

    Raises FetchError if the package is damaged, lacks one of them, or if a module depends on one that does not
    come before it.
    """
    vmlinuz = None
    wanted = {f"{name}.ko" for name in modules}
    found: dict[str, bytes] = {}
    for path, contents in deb_file.regular_files(
        package, lambda path: _is_kernel(path) or _name(path) in wanted
    ):
        if _is_kernel(path):
            vmlinuz = contents
        else:
            found[_name(path)] = contents
    if vmlinuz is None:
        raise deb_file.damaged(package, "it has no boot/vmlinuz")
    missing = sorted(wanted - found.keys())
    if missing:
        raise FetchError(f"{package}: this kernel has no module {', '.join(missing)}")
    ordered = {f"{name}.ko": found[f"{name}.ko"] for name in modules}
    _check_order(package, ordered)
    return KernelPackage(vmlinuz, ordered)


def _is_kernel(path: str) -> bool:
    return path.startswith("boot/vmlinuz-")


def _name(path: str) -> str:
    return posixpath.basename(path)


def _check_order(package: Path, modules: dict[str, bytes]) -> None:
    loaded: set[str] = set()
    for file_name, contents in modules.items():
        unmet = _dependencies(contents) - loaded
        if unmet:
            raise FetchError(f"{package}: {file_name} needs {', '.join(sorted(unmet))} to be loaded before")
        loaded.add(_module_name(file_name.removesuffix(".ko")))


def _dependencies(module: bytes) -> set[str]:
    """The modules that a module's `.modinfo` section names as `depends`."""
    from elftools.elf.elffile import ELFFile  # late: slow to import

    section = ELFFile(io.BytesIO(module)).get_section_by_name(".modinfo")
    entries = section.data().decode().split("\0") if section else []
    lists = [entry.removeprefix("depends=") for entry in entries if entry.startswith("depends=")]
    return {_module_name(name) for names in lists for name in names.split(",") if name}


def _module_name(name: str) -> str:
    """A module's name as the kernel compares it: dashes in file names count as underscores."""
    return name.replace("-", "_")
