"""C structures as tables of fields, for either byte order, padded by C's rules of natural alignment."""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Any, Final

_ALIGNMENT: Final = {"b": 1, "B": 1, "s": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8}


class Layout:
    """A structure described as `"type name, type name, …"`.

    A type is a `struct` letter (`i`, `I`, `q`, `Q`, `h`, `H`, `b`, `B`), with a count for an array (a tuple
    in Python), or `16s` for bytes. Every field lies at a multiple of its own size, as in o32 and in the
    64-bit host ABIs; fields whose name starts with an underscore are written as zero and not read.
    """

    def __init__(self, description: str, *, packed: bool = False) -> None:
        self.names: list[str] = []
        self._slices: dict[str, tuple[int, int, bool]] = {}
        pieces: list[str] = []
        self.offsets: dict[str, int] = {}
        values = 0
        offset = 0
        widest = 1
        for field in description.split(","):
            code, name = field.split()
            letter = code[-1]
            count = int(code[:-1] or "1")
            size = _ALIGNMENT[letter]
            if not packed:
                widest = max(widest, size)
                gap = -offset % size
                if gap:
                    pieces.append(f"{gap}x")
                    offset += gap
            self.offsets[name] = offset
            if name.startswith("_"):
                pieces.append(f"{count * size}x")
            else:
                pieces.append(code)
                self.names.append(name)
                taken = 1 if letter == "s" else count
                self._slices[name] = (values, values + taken, taken > 1)
                values += taken
            offset += count * size
        tail = -offset % widest
        pieces.append(f"{tail}x")
        self.size: Final = offset + tail
        self._format = "".join(pieces)

    @cached_property
    def _little(self) -> struct.Struct:
        return struct.Struct("<" + self._format)

    @cached_property
    def _big(self) -> struct.Struct:
        return struct.Struct(">" + self._format)

    def pack(self, big_endian: bool, values: dict[str, Any]) -> bytes:
        """The structure's bytes; integers are cut to the field's width, missing fields are zero."""
        flat: list[Any] = []
        for name in self.names:
            value = values.get(name, 0)
            first, last, is_array = self._slices[name]
            if is_array:
                flat.extend(value if value else (0,) * (last - first))
            else:
                flat.append(value)
        form = self._big if big_endian else self._little
        try:
            return form.pack(*flat)
        except struct.error:
            return form.pack(*(self._fit(flat)))

    def unpack(self, big_endian: bool, data: bytes) -> dict[str, Any]:
        """The fields' values by name."""
        flat = (self._big if big_endian else self._little).unpack(data)
        return {
            name: flat[first:last] if is_array else flat[first]
            for name, (first, last, is_array) in self._slices.items()
        }

    def _fit(self, flat: list[Any]) -> list[Any]:
        """Cut integers to their fields' widths, as a C assignment would."""
        fitted = []
        letters = [
            letter
            for piece in self._codes()
            for letter in ([piece[-1]] * (int(piece[:-1] or "1") if piece[-1] != "s" else 1))
        ]
        for letter, value in zip(letters, flat, strict=True):
            if letter == "s":
                fitted.append(value or b"")
                continue
            bits = 8 * _ALIGNMENT[letter]
            value &= (1 << bits) - 1
            if letter.islower() and value >> (bits - 1):
                value -= 1 << bits
            fitted.append(value)
        return fitted

    def _codes(self) -> list[str]:
        codes, digits = [], ""
        for character in self._format:
            if character.isdigit():
                digits += character
                continue
            if character != "x":
                codes.append(digits + character)
            digits = ""
        return codes
