"""Self-extracting kernels as Linux builds them, around any payload."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable

from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable

LOAD_ADDRESS = 0x8010_0000
_ALIGNMENT = 0x1_0000

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32),
    "gzip": gzip.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
}


def self_extracting(
    payload: bytes, entry: int, compressor: str, *, big_endian: bool, add: bool = False
) -> bytes:
    """An ELF file that would extract `payload` to `LOAD_ADDRESS` and go on at `entry`.

    `add`: the lower half of the address is added (`addiu`, older kernels) instead of or-ed.
    """
    order = ">" if big_endian else "<"
    start = LOAD_ADDRESS + (len(payload) // _ALIGNMENT + 1) * _ALIGNMENT
    low = entry & 0xFFFF
    high = (entry >> 16) + (add and low >= 0x8000)
    code = struct.pack(
        f"{order}10I",
        0x00808025,  # move s0, a0
        0x3C190000 | start >> 16,  # lui t9, the extractor's own function
        0x27390040,  # addiu t9, t9, 0x40
        0x0320F809,  # jalr t9
        0x02002025,  # move a0, s0 (here: its delay slot)
        0x3C190000 | high,  # lui t9, kernel
        (0x27390000 if add else 0x37390000) | low,  # addiu or ori
        0x0320F809,  # jalr t9
        0,
        0x1000FFFF,  # b .
    )
    # The extractor knows the magic numbers, too; the size is appended to what is compressed.
    magics = b"\xfd7zXZ\0 \x1f\x8b\x08 BZh \x5d\0\0 ".ljust(64, b"\0")
    compressed = COMPRESSORS[compressor](payload) + struct.pack(f"{order}I", len(payload))
    data = code.ljust(0x100, b"\0") + magics + compressed
    segment = Segment(start, data, READ | WRITE | EXECUTE, len(data) + 0x2_0000)
    return executable(start, [segment], big_endian=big_endian, wide_fpu=False)
