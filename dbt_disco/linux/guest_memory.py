"""Guest memory seen in the guest's byte order: words, structures, strings."""

from __future__ import annotations

from typing import Any

from dbt_disco.linux.layout import Layout
from runtime.address_space import AddressSpace, GuestFault


class GuestMemory:
    """Typed access to an address space; `GuestFault` where the guest could not go itself."""

    def __init__(self, space: AddressSpace, big_endian: bool) -> None:
        self.space = space
        self.big_endian = big_endian
        self.byte_order: Any = "big" if big_endian else "little"

    def word(self, address: int) -> int:
        """The unsigned 32-bit word at `address`."""
        return int.from_bytes(self.space.read(address, 4), self.byte_order)

    def set_word(self, address: int, value: int) -> None:
        """Store the low 32 bits of `value`."""
        self.space.write(address, (value & 0xFFFF_FFFF).to_bytes(4, self.byte_order))

    def words(self, address: int, count: int) -> list[int]:
        """`count` consecutive unsigned 32-bit words."""
        data = self.space.read(address, 4 * count)
        return [int.from_bytes(data[i : i + 4], self.byte_order) for i in range(0, 4 * count, 4)]

    def double_word(self, address: int) -> int:
        """The unsigned 64-bit value at `address`."""
        return int.from_bytes(self.space.read(address, 8), self.byte_order)

    def set_double_word(self, address: int, value: int) -> None:
        """Store the low 64 bits of `value`."""
        self.space.write(address, (value & (1 << 64) - 1).to_bytes(8, self.byte_order))

    def structure(self, layout: Layout, address: int) -> dict[str, Any]:
        """The fields of the structure at `address`."""
        return layout.unpack(self.big_endian, self.space.read(address, layout.size))

    def set_structure(self, layout: Layout, address: int, values: dict[str, Any]) -> None:
        """Store a structure."""
        self.space.write(address, layout.pack(self.big_endian, values))

    def string(self, address: int, limit: int = 1 << 20) -> bytes:
        """The zero-terminated string at `address`, without the zero."""
        return self.space.read_c_string(address, limit)


__all__ = ["GuestFault", "GuestMemory"]
