"""Large arrays of numbers that are mostly 0."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Final, Literal

_CHUNK: Final = 1 << 12
_FORMATS: Final[dict[int, Literal["B", "I", "Q"]]] = {1: "B", 4: "I", 8: "Q"}


def words_in_use(
    array: ctypes.Array[ctypes.c_uint8] | ctypes.Array[ctypes.c_uint32] | ctypes.Array[ctypes.c_uint64],
) -> Iterator[tuple[int, int]]:
    """The elements that are not 0, with their numbers; where there are none, it goes fast."""
    words = memoryview(array).cast("B").cast(_FORMATS[ctypes.sizeof(array._type_)])
    zeros = bytes(_CHUNK * words.itemsize)
    for first in range(0, len(words), _CHUNK):
        chunk = words[first : first + _CHUNK]
        if bytes(chunk) != zeros[: chunk.nbytes]:
            yield from ((number, word) for number, word in enumerate(chunk, first) if word)
