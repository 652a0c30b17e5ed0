"""siginfo_t: what a signal carries, as the guest lays it out and as the host does."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from dbt_disco.linux.layout import Layout
from dbt_disco.linux.signal_numbers import (
    SIGCHLD,
    guest_code,
    guest_signal,
    host_code,
    host_signal,
)

# si_code (asm-generic/siginfo.h; MIPS numbers SI_TIMER and two others in its own way, see `guest_code`)
SI_USER: Final = 0
SI_KERNEL: Final = 0x80
SI_QUEUE: Final = -1
SI_TKILL: Final = -6
_SI_SIGIO: Final = -5
_CLD_EXITED: Final = 1
_CHILD_CODES: Final = range(1, 7)
"""CLD_EXITED … CLD_CONTINUED."""
_POLL_CODES: Final = range(1, 7)
"""POLL_IN … POLL_HUP: of SIGIO, and of any signal that takes its place (F_SETSIG)."""

SIGNAL_INFO_SIZE: Final = 128
_WORDS: Final = 5
_GUEST: Final = Layout("i signo, i code, i errno, 5I words")
"""MIPS has si_code before si_errno."""
_HOST_HEAD: Final = struct.Struct("=iii4x")
# The host's union, by what it holds; a sigval is eight bytes long, of which the guest gets the lower half.
_HOST_SENDER: Final = struct.Struct("=IIQ8x8x")
_HOST_POLL: Final = struct.Struct("=qI12x8x")
_HOST_CHILD: Final = struct.Struct("=IIi4xqq")
HOST_UNION_SIZE: Final = _HOST_CHILD.size


class SignalInfo(NamedTuple):
    """A signal with what it carries. Number and code are the guest's."""

    number: int
    code: int
    words: tuple[int, ...] = ()
    """The union's first words, five at most: (address), (pid, uid, value), (timer, overrun, value), (pid, uid,
    status, user time, system time), (band, fd)."""

    def packed(self, big_endian: bool) -> bytes:
        """The 128 bytes of the guest's siginfo_t."""
        words = (*self.words, *(0,) * _WORDS)[:_WORDS]
        values = {"signo": self.number, "code": self.code, "words": words}
        return _GUEST.pack(big_endian, values).ljust(SIGNAL_INFO_SIZE, b"\0")

    @classmethod
    def unpacked(cls, big_endian: bool, data: bytes) -> SignalInfo:
        """From the bytes of the guest's siginfo_t."""
        values = _GUEST.unpack(big_endian, data[: _GUEST.size])
        return cls(values["signo"], values["code"], values["words"])

    @classmethod
    def from_host(cls, number: int, code: int, union: bytes) -> SignalInfo | None:
        """From the host's number, code, and union; None if the guest has no such signal."""
        guest = guest_signal(number)
        if guest is None:
            return None
        return cls(guest, guest_code(code), _guest_words(guest, code, union))

    def to_host(self) -> bytes:
        """The host's siginfo_t, of a signal that the host knows and that a process may send."""
        head = _HOST_HEAD.pack(host_signal(self.number) or 0, 0, host_code(self.code))
        first, second, value = (*self.words, 0, 0, 0)[:3]
        return (head + _HOST_SENDER.pack(first, second, value)).ljust(SIGNAL_INFO_SIZE, b"\0")


def host_signal_info(data: bytes) -> SignalInfo | None:
    """From the bytes of the host's siginfo_t; None if the guest has no such signal."""
    number, _, code = _HOST_HEAD.unpack_from(data)
    return SignalInfo.from_host(number, code, data[_HOST_HEAD.size : _HOST_HEAD.size + HOST_UNION_SIZE])


def _guest_words(guest: int, code: int, union: bytes) -> tuple[int, ...]:
    """The kinds are told apart as the kernel does it (siginfo_layout in kernel/signal.c)."""
    words: tuple[int, ...]
    if guest == SIGCHLD and code in _CHILD_CODES:
        pid, uid, status, user, system = _HOST_CHILD.unpack(union)
        if code != _CLD_EXITED:  # by which signal it was killed, stopped or continued
            status = guest_signal(status) or status
        words = pid, uid, status, user, system
    elif code in _POLL_CODES or code == _SI_SIGIO:
        words = _HOST_POLL.unpack(union)
    else:
        words = _HOST_SENDER.unpack(union)
    return tuple(word & 0xFFFF_FFFF for word in words)
