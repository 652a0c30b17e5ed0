"""The table of stencils: their code, and where it has holes."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from elftools.elf.elffile import ELFFile

from translator import isa
from translator.encoding import ENCODINGS
from translator.predecode import OPERANDS
from translator.system.stencil_cpu import (
    CONTINUE,
    IMMEDIATE,
    NO_OPERATION,
    TAIL,
    operand_symbol,
    register_symbol,
    source_symbol,
)
from translator.system.stencil_layout import (
    COPIED_AT_ONCE,
    DESCRIPTOR,
    DISTANCE_SOURCE,
    HOLE,
    IMMEDIATE_SOURCE,
    JUMP_OPCODE,
    JUMP_SIZE,
    OPERAND_BYTES,
    REGISTERS,
    SOURCES,
)

assert isa  # importing it fills ENCODINGS

_KINDS: Final = {2, 4, 10, 11}
"""Relocations that fill 32 bits: R_X86_64_PC32, _PLT32, _32, _32S."""
_SOURCE_OF: Final = {IMMEDIATE: IMMEDIATE_SOURCE} | {
    symbol(place): first + place
    for place in range(OPERANDS)
    for symbol, first in (
        (register_symbol, REGISTERS),
        (source_symbol, SOURCES),
        (operand_symbol, OPERAND_BYTES),
    )
}


class _Stencil(NamedTuple):
    code: bytes
    holes: list[tuple[int, int, int]]


def stencil_table(object_code: bytes, handlers: Mapping[str, int]) -> bytes:
    """The table of what `stencils_ir` compiles to; `handlers`: offsets in the arena, by symbol."""
    found = _stencils(object_code, handlers)
    stencils = [found.get(name, _Stencil(b"", [])) for name in (TAIL, NO_OPERATION, *ENCODINGS)]
    holes_at = DESCRIPTOR.size * len(stencils)
    code_at = holes_at + HOLE.size * sum(len(stencil.holes) for stencil in stencils)
    descriptors = holes = code = b""
    for stencil in stencils:
        place = (code_at + len(code), len(stencil.code), len(stencil.holes), holes_at + len(holes))
        descriptors += DESCRIPTOR.pack(*place)
        holes += b"".join(HOLE.pack(*hole) for hole in stencil.holes)
        code += stencil.code
    return descriptors + holes + code + bytes(COPIED_AT_ONCE)


def _stencils(object_code: bytes, handlers: Mapping[str, int]) -> dict[str, _Stencil]:
    """By mnemonic."""
    elf = ELFFile(io.BytesIO(object_code))
    text, symbols = elf.get_section_by_name(".text"), elf.get_section_by_name(".symtab")
    names = [symbol.name for symbol in symbols.iter_symbols()]
    entries = list(elf.get_section_by_name(".rela.text").iter_relocations())
    others = {entry["r_info_type"] for entry in entries} - _KINDS
    if others:
        raise ValueError(f"relocations of types {others} in stencils")
    relocations = [(entry["r_offset"], names[entry["r_info_sym"]], entry["r_addend"]) for entry in entries]
    stencils = {}
    for symbol in symbols.iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC":
            start, size = symbol["st_value"], symbol["st_size"]
            code = text.data()[start : start + size]
            inside = [
                (at - start, name, addend) for at, name, addend in relocations if start <= at < start + size
            ]
            stencils[symbol.name] = _stencil(code, inside, handlers)
    return stencils


def _stencil(code: bytes, relocations: list[tuple[int, str, int]], handlers: Mapping[str, int]) -> _Stencil:
    """Without a jump to what follows at its end; others get there, too."""
    last = len(code) - JUMP_SIZE
    if code[last] == JUMP_OPCODE and (last + 1, CONTINUE) in [(at, name) for at, name, _ in relocations]:
        code = code[:last]
    image, holes = bytearray(code), []
    for at, name, addend in relocations:
        if name == CONTINUE:
            if at < len(code):
                struct.pack_into("<i", image, at, len(code) + addend - at)
        elif name in handlers:
            holes.append((at, DISTANCE_SOURCE, handlers[name] + addend - at))
        else:
            holes.append((at, _SOURCE_OF[name], addend))
    return _Stencil(bytes(image), holes)
