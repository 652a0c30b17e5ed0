"""Putting a kernel and its initrd into a virtual machine's memory: what goes where, and where the guest starts.

The initrd and the device tree are as high in the low memory as they can be, far from what a kernel does not tell of:
a raw image's bss, a boot-time heap behind a kernel's end.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbt_disco.virtual_machine.kernel_image import KernelImage, read_kernel
from dbt_disco.virtual_machine.memory_image import BootError, FileRange, Piece
from dbt_disco.virtual_machine.platform import BOOT_MEMORY, MemoryRange, memory_ranges
from runtime.addresses import MACHINE_PAGE_SIZE, PhysicalAddress, VirtualAddress

DEVICE_TREE_ROOM: Final = 0x1_0000
"""Bytes kept for the device tree, several times what it takes with the longest kernel command line."""


@dataclass(frozen=True)
class BootMemory:
    """What a virtual machine's memory holds at the start, but for the device tree."""

    pieces: tuple[Piece, ...]
    """Disjoint; some end in zeros, which memory holds anyway."""
    entry: VirtualAddress
    """The first instruction."""
    initrd: MemoryRange | None
    device_tree: MemoryRange
    """Where the device tree goes; above everything else in low memory, so that KSEG0 reaches it."""
    big_endian: bool | None
    """The byte order that the kernel was made for; None if it does not say."""


def load(kernel: Path, memory_size: int, initrd: Path | None = None) -> BootMemory:
    """Lay out `memory_size` bytes of memory.

    Raises BootError if a file is missing or damaged, or if memory is too small for it.
    """
    memory = memory_ranges(memory_size)
    image = read_kernel(kernel)
    for piece in image.pieces:
        if not any(part.start <= piece.address and piece.end <= part.end for part in (*memory, BOOT_MEMORY)):
            raise BootError(
                f"{kernel}: needs memory from {piece.address:#010x} to {piece.end:#010x} (physical), "
                f"and the machine has {_describe(memory)}; give more --memory, or link it lower"
            )
    floor = _low_end(image, memory[0])
    device_tree = _highest(floor, memory[0].end, DEVICE_TREE_ROOM)
    if device_tree is None:
        raise BootError(
            f"{kernel}: leaves no room for a device tree in {_describe(memory)}; give more --memory"
        )
    if initrd is None:
        return BootMemory(image.pieces, image.entry, None, device_tree, image.big_endian)
    contents = _initrd(initrd)
    place = _highest(floor, device_tree.start, contents.length)
    if place is None:
        free = max(device_tree.start - floor, 0)
        raise BootError(
            f"{initrd}: an initrd of {contents.length} bytes, and {free} bytes of low memory are left beside the "
            f"kernel; give more --memory (up to 256M helps)"
        )
    piece = Piece(place.start, place.size, contents)
    return BootMemory((*image.pieces, piece), image.entry, place, device_tree, image.big_endian)


def _low_end(image: KernelImage, low: MemoryRange) -> int:
    """The end of what the kernel takes of low memory."""
    return max((piece.end for piece in image.pieces if piece.address < low.end), default=low.start)


def _highest(floor: int, ceiling: int, size: int) -> MemoryRange | None:
    """The highest whole pages below `ceiling` for `size` bytes; None if they are not above `floor`."""
    start = (ceiling - size) // MACHINE_PAGE_SIZE * MACHINE_PAGE_SIZE
    return MemoryRange(PhysicalAddress(start), size) if start >= floor else None


def _initrd(path: Path) -> FileRange:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise BootError(f"{path}: not a regular file, not an initrd")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise BootError(f"{path}: {error.strerror}") from error
    if status.st_size == 0:
        raise BootError(f"{path}: an empty file, not an initrd")
    return FileRange(path, 0, status.st_size)


def _describe(memory: Sequence[MemoryRange]) -> str:
    return " and ".join(f"{part.start:#010x} to {part.end:#010x}" for part in memory)
