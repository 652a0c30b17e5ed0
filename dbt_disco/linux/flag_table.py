"""Bit flags whose values differ between the guest's architecture and the host's."""

from __future__ import annotations


class FlagTable:
    """Translates sets of flags by a table of (name, guest value, host value).

    Values with several bits come before the single bits they contain. Unknown bits are dropped, or kept when
    `keep_rest` says that everything not in the table is the same on both sides.
    """

    def __init__(self, *rows: tuple[str, int, int], keep_rest: bool = False) -> None:
        self._rows = rows
        self._guest_known = 0
        self._host_known = 0
        for _, guest, host in rows:
            self._guest_known |= guest
            self._host_known |= host
        if keep_rest:
            self._guest_rest = self._host_rest = ~(self._guest_known | self._host_known)
        else:
            self._guest_rest = self._host_rest = 0

    def to_host(self, flags: int) -> int:
        """The host's bits for the guest's."""
        result = flags & self._guest_rest
        for _, guest, host in self._rows:
            if guest and flags & guest == guest:
                result |= host
        return result

    def to_guest(self, flags: int) -> int:
        """The guest's bits for the host's."""
        result = flags & self._host_rest
        for _, guest, host in self._rows:
            if host and flags & host == host:
                result |= guest
        return result

    def unknown(self, flags: int) -> int:
        """The guest's bits that the table does not have."""
        return flags & ~self._guest_known

    def names(self, flags: int) -> str:
        """`A|B|0x40` for the guest's bits."""
        parts = []
        for name, guest, _ in self._rows:
            if guest and flags & guest == guest:
                parts.append(name)
                flags &= ~guest
        if flags:
            parts.append(hex(flags))
        return "|".join(parts) or "0"
