"""A minimal loader of the relocatable ELF objects that LLVM emits: places them in the code arena.

Only what LLVM's small, position-independent code needs: allocated sections side by side, program-counter-relative
and absolute relocations, symbols of objects loaded before.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runtime.code_arena import CodeArena
from translator.translation import FIXUPS_SECTION

_SHT_SYMTAB: Final = 2
_SHT_RELA: Final = 4
_SHT_NOBITS: Final = 8
_SHF_ALLOC: Final = 2
_SHN_UNDEF: Final = 0
_SHN_ABS: Final = 0xFFF1
_R_X86_64_64: Final = 1
_R_X86_64_PC32: Final = 2
_R_X86_64_PLT32: Final = 4
_R_X86_64_PC64: Final = 24
_NOT_LOADED: Final = (".eh_frame",)


class ObjectError(Exception):
    """The object code is damaged or uses something this loader does not know."""


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


@dataclass(frozen=True)
class LoadedObject:
    """Object code in the arena."""

    offset: int
    """Of its block in the arena."""
    size: int
    symbols: dict[str, int]
    """Defined symbols: offset in the arena."""
    fixups: dict[int, int] = field(default_factory=dict)
    """Accesses that may fault → where to go then: offsets in the arena (`runtime.access_fixups`)."""


def load_object(
    code: bytes, arena: CodeArena, external: Mapping[str, int], precise: bool = False
) -> LoadedObject:
    """Relocate `code` into `arena`. `external`: arena offsets of symbols it may refer to.

    `ObjectError` if it cannot be loaded, `CodeArenaFull` if it does not fit.
    """
    try:
        return _load(code, arena, external, precise)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ObjectError(f"damaged object code: {error}") from error


def _load(code: bytes, arena: CodeArena, external: Mapping[str, int], precise: bool) -> LoadedObject:
    sections = _sections(code)
    positions, size = _lay_out(sections)
    image = bytearray(size)
    for index, position in positions.items():
        section = sections[index]
        if section.kind != _SHT_NOBITS:
            image[position : position + section.size] = code[section.offset : section.offset + section.size]
    base = arena.allocate(size, precise)
    try:
        defined, addresses = _symbols(code, sections, positions, base, external)
        for section in sections:
            if section.kind != _SHT_RELA:
                continue
            if section.info in positions:
                _relocate(code, section, addresses, image, positions[section.info], base, arena.base)
    except BaseException:
        arena.free(base, size)
        raise
    arena.write(base, image)
    return LoadedObject(base, size, defined, _fixups(sections, positions, image, base))


def _fixups(
    sections: list[_Section], positions: dict[int, int], image: bytearray, base: int
) -> dict[int, int]:
    """From the section of pairs of i32: distances of an access and its fixup, each from where it is noted."""
    fixups: dict[int, int] = {}
    for index, start in positions.items():
        if sections[index].name == FIXUPS_SECTION:
            for at in range(start, start + sections[index].size, 8):
                access, target = struct.unpack_from("<ii", image, at)
                fixups[base + at + access] = base + at + 4 + target
    return fixups


def _sections(code: bytes) -> list[_Section]:
    if code[:6] != b"\x7fELF\x02\x01":
        raise ObjectError("not a 64-bit little-endian ELF object")
    (table,) = struct.unpack_from("<Q", code, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", code, 0x3A)
    raw = [struct.unpack_from("<IIQQQQIIQQ", code, table + n * entry_size) for n in range(count)]
    names = raw[names_index][4]
    return [
        _Section(_string(code, names + r[0]), r[1], r[2], r[4], r[5], r[6], r[7], max(r[8], 1)) for r in raw
    ]


def _string(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()


def _lay_out(sections: list[_Section]) -> tuple[dict[int, int], int]:
    positions: dict[int, int] = {}
    size = 0
    for index, section in enumerate(sections):
        if section.flags & _SHF_ALLOC and section.size and section.name not in _NOT_LOADED:
            size = -(-size // section.alignment) * section.alignment
            positions[index] = size
            size += section.size
    return positions, size


def _symbols(
    code: bytes,
    sections: list[_Section],
    positions: dict[int, int],
    base: int,
    external: Mapping[str, int],
) -> tuple[dict[str, int], list[int | str]]:
    """Defined global symbols, and the arena offset of every symbol by number (a name if undefined)."""
    table = next(s for s in sections if s.kind == _SHT_SYMTAB)
    names = sections[table.link].offset
    defined: dict[str, int] = {}
    addresses: list[int | str] = []
    for name_at, info, _, index, value, _ in struct.iter_unpack(
        "<IBBHQQ", code[table.offset : table.offset + table.size]
    ):
        if index == _SHN_UNDEF:
            name = _string(code, names + name_at)
            addresses.append(external.get(name, name))
        elif index in positions:
            addresses.append(base + positions[index] + value)
            if info >> 4:
                defined[_string(code, names + name_at)] = base + positions[index] + value
        else:
            addresses.append(value)
    return defined, addresses


def _relocate(
    code: bytes,
    section: _Section,
    addresses: list[int | str],
    image: bytearray,
    position: int,
    base: int,
    arena_base: int,
) -> None:
    for offset, info, addend in struct.iter_unpack(
        "<QQq", code[section.offset : section.offset + section.size]
    ):
        kind = info & 0xFFFF_FFFF
        target = addresses[info >> 32]
        if isinstance(target, str):
            raise ObjectError(f"undefined symbol {target or '(none)'}")
        at = position + offset
        if kind in (_R_X86_64_PC32, _R_X86_64_PLT32):
            struct.pack_into("<i", image, at, target + addend - (base + at))
        elif kind == _R_X86_64_64:
            struct.pack_into("<Q", image, at, arena_base + target + addend)
        elif kind == _R_X86_64_PC64:
            struct.pack_into("<q", image, at, target + addend - (base + at))
        else:
            raise ObjectError(f"relocation type {kind} is not known")
