"""A virtual machine's memory as one ELF file, so that QEMU's Malta boots the same kernel from the same state.

QEMU itself starts a kernel the way Malta's firmware does (YAMON), which Debian's generic kernel knows nothing of.
"""

from __future__ import annotations

import struct
from typing import Final

from dbt_disco.virtual_machine.boot_loader import BootMemory

_KSEG0: Final = 0x8000_0000
_STUB_ADDRESS: Final = _KSEG0 + 0x400
"""Memory that kernels leave to exception vectors until they have set them up."""
_UHI_BOOT: Final = 0xFFFF_FFFE
"""a0 where a1 is a device tree (MIPS Unified Hosting Interface, section 3)."""

_HEADER_SIZE: Final = 52
_PROGRAM_HEADER_SIZE: Final = 32
_ALIGNMENT: Final = 16
_ET_EXEC, _EM_MIPS, _PT_LOAD, _ALL_PERMISSIONS = 2, 8, 1, 7
_FLAGS: Final = 0x7000_1000
"""e_flags: o32, MIPS32r2."""

_LUI: Final = 0x3C00_0000
_ORI: Final = 0x3400_0000
_JR: Final = 0x0000_0008
_A0, _A1, _A2, _A3, _T9 = 4, 5, 6, 7, 25


def wrap(memory: BootMemory, device_tree: bytes) -> bytes:
    """An executable that loads everything, and starts the kernel with the device tree as its argument.

    All of it must be in KSEG0's reach.
    """
    tree = _KSEG0 + memory.device_tree.start
    stub = [
        *_load_constant(_A0, _UHI_BOOT),
        *_load_constant(_A1, tree),
        *_load_constant(_A2, 0),
        *_load_constant(_A3, 0),
        *_load_constant(_T9, memory.entry),
        _T9 << 21 | _JR,
        0,
    ]
    order = _order(memory)
    segments = _segments(memory)
    segments += [(tree, device_tree), (_STUB_ADDRESS, struct.pack(f"{order}{len(stub)}I", *stub))]
    return _executable(segments, _STUB_ADDRESS, order)


def executable(memory: BootMemory) -> bytes:
    """An executable of what has been laid out and nothing else, for a kernel that QEMU itself knows how to start."""
    return _executable(_segments(memory), memory.entry, _order(memory))


def _order(memory: BootMemory) -> str:
    return ">" if memory.big_endian else "<"


def _segments(memory: BootMemory) -> list[tuple[int, bytes]]:
    """(virtual address, contents) pairs."""
    return [(_KSEG0 + piece.address, piece.bytes()) for piece in memory.pieces]


def _load_constant(register: int, value: int) -> tuple[int, int]:
    return _LUI | register << 16 | value >> 16, _ORI | register << 21 | register << 16 | value & 0xFFFF


def _executable(segments: list[tuple[int, bytes]], entry: int, order: str) -> bytes:
    """An ELF file from (virtual address, contents) pairs."""
    at = _HEADER_SIZE + len(segments) * _PROGRAM_HEADER_SIZE
    headers = b""
    for address, contents in segments:
        at += -at % _ALIGNMENT
        size = len(contents)
        fields = (_PT_LOAD, at, address, address, size, size, _ALL_PERMISSIONS, _ALIGNMENT)
        headers += struct.pack(f"{order}8I", *fields)
        at += size
    identification = b"\x7fELF" + bytes([1, 2 if order == ">" else 1, 1]) + bytes(9)
    header = struct.pack(
        f"{order}HHIIIIIHHHHHH",
        *(_ET_EXEC, _EM_MIPS, 1, entry, _HEADER_SIZE, 0, _FLAGS),
        *(_HEADER_SIZE, _PROGRAM_HEADER_SIZE, len(segments), 0, 0, 0),
    )
    output = bytearray(identification + header + headers)
    for _, contents in segments:
        output += bytes(-len(output) % _ALIGNMENT) + contents
    return bytes(output)
