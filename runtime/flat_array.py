"""Large arrays of numbers that are mostly 0: the host gives memory for those parts that are used."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from typing import Final, Literal, TypeVar

_CHUNK: Final = 1 << 13
_PART: Final = 1 << 6
"""Elements that are looked at together."""
_NOTHING: Final = bytes(_CHUNK * 8)
_compare_memory: Final = ctypes.CDLL(None).memcmp
_compare_memory.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
_FORMATS: Final[dict[int, Literal["B", "I", "Q"]]] = {1: "B", 4: "I", 8: "Q"}
_Number = TypeVar("_Number", ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64)


def zeros(kind: type[_Number], count: int) -> ctypes.Array[_Number]:
    """So many zeros; ctypes' own arrays have all their memory from the beginning."""
    memory = mmap.mmap(-1, max(count * ctypes.sizeof(kind), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return (kind * count).from_buffer(memory)


def words_in_use(
    array: ctypes.Array[ctypes.c_uint8] | ctypes.Array[ctypes.c_uint32] | ctypes.Array[ctypes.c_uint64],
) -> Iterator[tuple[int, int]]:
    """The elements that are not 0, with their numbers; where there are none, it goes fast."""
    words = memoryview(array).cast("B").cast(_FORMATS[ctypes.sizeof(array._type_)])
    base, size = ctypes.addressof(array), words.itemsize
    for first in range(0, len(words), _CHUNK):
        end = min(first + _CHUNK, len(words))
        if not _compare_memory(base + first * size, _NOTHING, (end - first) * size):
            continue
        for start in range(first, end, _PART):
            part = words[start : min(start + _PART, end)]
            if _compare_memory(base + start * size, _NOTHING, part.nbytes):
                yield from ((number, word) for number, word in enumerate(part, start) if word)
