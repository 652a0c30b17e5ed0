"""A vCPU's registers by name."""

from __future__ import annotations

import struct
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Final

from dbt_disco.engine import native_vcpu
from translator.decode import REGISTER_NAMES

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

GENERAL_NAMES: Final = tuple(name.removeprefix("$") for name in REGISTER_NAMES)
"""The o32 names of the general registers, by number."""
FLOAT_NAMES: Final = tuple(f"f{number}" for number in range(32))
_GENERAL: Final = (
    {name: number for number, name in enumerate(GENERAL_NAMES)}
    | {f"r{number}": number for number in range(32)}
    | {"s8": 30}
)
_FLOAT: Final = {name: number for number, name in enumerate(FLOAT_NAMES)}
_SCALARS: Final = {"pc": "pc", "hi": "hi", "lo": "lo", "fir": "fir", "userlocal": "user_local"}
"""Name → field of the vCPU state."""
NAMES: Final = (*GENERAL_NAMES, "pc", "hi", "lo", *FLOAT_NAMES, "fcsr", "userlocal")
"""Every register once, in the order in which they are shown."""


class Registers(MutableMapping[str, int]):
    """The registers by name, as unsigned integers.

    Names: `zero` … `ra` (or `r0` … `r31`), `pc`, `hi`, `lo`, `f0` … `f31`, `fcsr`, `fir`, `userlocal`; a
    leading `$` is allowed. FPU registers are bit patterns: 64 bits wide with FR=1, else 32. KeyError for
    another name.
    """

    def __init__(self, vcpu: AnyVcpu) -> None:
        self._vcpu = vcpu
        self._state = vcpu.state

    def __getitem__(self, name: str) -> int:
        key = _key(name)
        if key in _GENERAL:
            return int(self._state.gpr[_GENERAL[key]])
        if key in _FLOAT:
            return self._float(_FLOAT[key])
        if key == "fcsr":
            from translator.float_unit import read_fcsr

            return read_fcsr(self._state)
        return int(getattr(self._state, _SCALARS[key]))

    def __setitem__(self, name: str, value: int) -> None:
        key = _key(name)
        if key in _GENERAL:
            if number := _GENERAL[key]:
                self._state.gpr[number] = value & 0xFFFF_FFFF
        elif key in _FLOAT:
            self._set_float(_FLOAT[key], value)
        elif key == "fcsr":
            self._set_fcsr(value)
        elif key == "fir":
            raise KeyError("fir is read-only")
        else:
            setattr(self._state, _SCALARS[key], value & 0xFFFF_FFFF)
            if key == "pc":
                self._state.in_delay_slot = 0

    def __delitem__(self, name: str) -> None:
        raise TypeError("a processor keeps its registers")

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def double(self, number: int) -> float:
        """FPU register `number` as a double; with FR=0 an even number, naming a pair."""
        return float(struct.unpack("<d", self._doubleword(number).to_bytes(8, "little"))[0])

    def set_double(self, number: int, value: float) -> None:
        """Write a double."""
        bits = int.from_bytes(struct.pack("<d", value), "little")
        self._state.fpr[self._doubleword_index(number)] = bits

    def single(self, number: int) -> float:
        """The low word of FPU register `number` as a single."""
        word = self._float(number) & 0xFFFF_FFFF
        return float(struct.unpack("<f", word.to_bytes(4, "little"))[0])

    def set_single(self, number: int, value: float) -> None:
        """Write a single; OverflowError if it is too large for one. The upper word of a wide register
        stays."""
        bits = int.from_bytes(struct.pack("<f", value), "little")
        self._set_float(number, self._float(number) & ~0xFFFF_FFFF | bits)

    def _doubleword_index(self, number: int) -> int:
        if not 0 <= number < 32 or (not self._vcpu.wide_fpu and number & 1):
            raise KeyError(f"f{number} does not hold a double")
        return number if self._vcpu.wide_fpu else number >> 1

    def _doubleword(self, number: int) -> int:
        return int(self._state.fpr[self._doubleword_index(number)])

    def _float(self, number: int) -> int:
        if self._vcpu.wide_fpu:
            return int(self._state.fpr[number])
        return int(self._state.fpr[number >> 1]) >> 32 * (number & 1) & 0xFFFF_FFFF

    def _set_float(self, number: int, value: int) -> None:
        if self._vcpu.wide_fpu:
            self._state.fpr[number] = value & (1 << 64) - 1
            return
        shift = 32 * (number & 1)
        kept = self._state.fpr[number >> 1] & ~(0xFFFF_FFFF << shift)
        self._state.fpr[number >> 1] = kept | (value & 0xFFFF_FFFF) << shift

    def _set_fcsr(self, value: int) -> None:
        from translator.float_unit import write_fcsr

        checked = self._state.float_checked
        write_fcsr(self._state, value)
        native = native_vcpu(self._vcpu)
        if native is not None and checked != self._state.float_checked:
            native.translations.mode_changed()


def _key(name: str) -> str:
    key = name.removeprefix("$").lower()
    if key.isdigit():
        key = f"r{key}"
    if key not in _GENERAL and key not in _FLOAT and key not in _SCALARS and key != "fcsr":
        raise KeyError(f"no register is called {name!r}")
    return key
