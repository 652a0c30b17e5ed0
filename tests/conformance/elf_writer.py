"""Static o32 executables from segments, for running generated code as a whole program."""

from __future__ import annotations

import struct
from dataclasses import dataclass

READ, WRITE, EXECUTE = 4, 2, 1
"""Segment permissions, as in p_flags."""
_PAGE = 0x1000
_HEADER_SIZE, _PROGRAM_HEADER_SIZE, _ABI_FLAGS_SIZE = 52, 32, 24
_PT_LOAD, _PT_MIPS_ABIFLAGS = 1, 0x7000_0003
_EM_MIPS, _ET_EXEC = 8, 2
_FLAGS = 0x7000_1001
"""e_flags: MIPS32r2, o32, no reordering."""
_FP_DOUBLE, _FP_64 = 1, 6


@dataclass(frozen=True)
class Segment:
    """Bytes at a page-aligned address; `size` may exceed them."""

    address: int
    data: bytes
    permissions: int
    size: int = 0


def executable(entry: int, segments: list[Segment], *, big_endian: bool, wide_fpu: bool) -> bytes:
    """An ELF file; `wide_fpu` asks for 64-bit FPU registers (Status.FR = 1)."""
    order = ">" if big_endian else "<"
    abi_flags = struct.pack(
        f"{order}HBBBBBBIIII", 0, 32, 2, 1, 2, 0, _FP_64 if wide_fpu else _FP_DOUBLE, 0, 0, 0, 0
    )
    flags_at = _HEADER_SIZE + (1 + len(segments)) * _PROGRAM_HEADER_SIZE
    headers = [(_PT_MIPS_ABIFLAGS, flags_at, 0, 0, _ABI_FLAGS_SIZE, _ABI_FLAGS_SIZE, READ, 8)]
    body = b""
    for segment in segments:
        size = max(segment.size, len(segment.data))
        place = (_PAGE + len(body), segment.address, segment.address, len(segment.data), size)
        headers.append((_PT_LOAD, *place, segment.permissions, _PAGE))
        body += segment.data + bytes(-len(segment.data) % _PAGE)
    identification = b"\x7fELF" + bytes([1, 2 if big_endian else 1, 1]) + bytes(9)
    rest = (_ET_EXEC, _EM_MIPS, 1, entry, _HEADER_SIZE, 0, _FLAGS, _HEADER_SIZE, _PROGRAM_HEADER_SIZE)
    start = identification + struct.pack(f"{order}HHIIIIIHHHHHH", *rest, len(headers), 0, 0, 0)
    start += b"".join(struct.pack(f"{order}8I", *header) for header in headers) + abi_flags
    assert len(start) <= _PAGE
    return start.ljust(_PAGE, b"\0") + body
