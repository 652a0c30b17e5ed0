"""Small ELF files made to order: right ones, and ones that lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

HEADER_SIZE = 52
PROGRAM_HEADER_SIZE = 32
EXIT_SYSTEM_CALL = 4001


@dataclass
class ElfBuilder:
    """An o32 executable of one segment that exits with status 7; change fields to spoil it."""

    big_endian: bool = False
    header: dict[str, Any] = field(default_factory=dict)
    segment: dict[str, int] = field(default_factory=dict)
    interpreter: bytes | None = None
    code: tuple[int, ...] = (
        0x2404_0007,  # addiu a0, zero, 7
        0x2402_0000 | EXIT_SYSTEM_CALL,  # addiu v0, zero, 4001
        0x0000_000C,  # syscall
    )

    def build(self) -> bytes:
        """The file's bytes."""
        order = ">" if self.big_endian else "<"
        code = b"".join(struct.pack(order + "I", word) for word in self.code)
        count = 1 if self.interpreter is None else 2
        start = HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE
        interpreter_at = start + len(code)
        size = interpreter_at + len(self.interpreter or b"")
        header = {
            "identification": b"\x7fELF" + bytes((1, 2 if self.big_endian else 1, 1)) + bytes(9),
            "type": 2,
            "machine": 8,
            "version": 1,
            "entry": 0x40_0000 + start,
            "program_headers": HEADER_SIZE,
            "sections": 0,
            "flags": 0x7000_1000,
            "size": HEADER_SIZE,
            "entry_size": PROGRAM_HEADER_SIZE,
            "count": count,
            "section_size": 0,
            "section_count": 0,
            "names": 0,
            **self.header,
        }
        segment = {
            "type": 1,
            "offset": 0,
            "address": 0x40_0000,
            "physical": 0,
            "file_size": size,
            "memory_size": size,
            "flags": 5,
            "alignment": 0x1000,
            **self.segment,
        }
        data = struct.pack(order + "16sHHIIIIIHHHHHH", *header.values())
        data += struct.pack(order + "8I", *segment.values())
        if self.interpreter is None:
            data += bytes(PROGRAM_HEADER_SIZE)
        else:
            data += struct.pack(
                order + "8I", 3, interpreter_at, 0, 0, len(self.interpreter), len(self.interpreter), 4, 1
            )
        return data + code + (self.interpreter or b"")
