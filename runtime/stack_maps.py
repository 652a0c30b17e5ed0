"""LLVM's stack maps (version 3): where values are at points of native code."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class LocationKind(IntEnum):
    """How a value is found (LLVM, "Stack maps and patch points")."""

    REGISTER = 1
    DIRECT = 2
    INDIRECT = 3
    CONSTANT = 4
    CONSTANT_INDEX = 5


class Location(NamedTuple):
    """One live value."""

    kind: LocationKind
    size: int
    register: int
    """DWARF number."""
    offset: int
    """Of DIRECT and INDIRECT; the value itself of CONSTANT."""


@dataclass(frozen=True)
class StackMap:
    """The live values at one point."""

    number: int
    address: int
    locations: tuple[Location, ...]


class StackMaps:
    """The stack maps of one object, by address."""

    def __init__(self, section: bytes) -> None:
        self._maps = sorted(_parse(section), key=lambda stack_map: stack_map.address)
        self._addresses = [stack_map.address for stack_map in self._maps]

    def before(self, address: int) -> StackMap:
        """The last one at or before a code address; LookupError if there is none."""
        index = bisect_right(self._addresses, address)
        if not index:
            raise LookupError(f"no stack map before {address:#x}")
        return self._maps[index - 1]


def _parse(section: bytes) -> list[StackMap]:
    version, _, _, functions, constants, _ = struct.unpack_from("<BBHIII", section)
    if version != 3:
        raise ValueError(f"stack maps of version {version}")
    position = 16
    counts: list[tuple[int, int]] = []
    for _ in range(functions):
        address, _, records = struct.unpack_from("<QQQ", section, position)
        counts.append((address, records))
        position += 24
    large = struct.unpack_from(f"<{constants}Q", section, position)
    position += 8 * constants
    maps: list[StackMap] = []
    for address, records in counts:
        for _ in range(records):
            number, offset, _, count = struct.unpack_from("<QIHH", section, position)
            position += 16
            locations = []
            for _ in range(count):
                kind, _, size, register, _, value = struct.unpack_from("<BBHHHi", section, position)
                position += 12
                if kind == LocationKind.CONSTANT_INDEX:
                    kind, value = LocationKind.CONSTANT, large[value]
                locations.append(Location(LocationKind(kind), size, register, value))
            position = -(-position // 8) * 8
            _, live_outs = struct.unpack_from("<HH", section, position)
            position = -(-(position + 4 + 4 * live_outs) // 8) * 8
            maps.append(StackMap(number, address + offset, tuple(locations)))
    return maps
