"""Waiting for descriptors: poll, select, epoll."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_time import host_time, read_time, store_host_time
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.open_flags import host_open_flags
from dbt_disco.linux.signal_frame import signal_set_mask
from dbt_disco.linux.signal_numbers import host_mask
from dbt_disco.linux.structures import TIMESPEC64
from dbt_disco.linux.system_call import (
    FD,
    INT,
    OPEN_FLAGS,
    POINTER,
    SIZE,
    UINT,
    system_call,
    timed_system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_MAXIMUM_DESCRIPTORS: Final = 1 << 20
_POLLFD_SIZE: Final = 8
_SIGNAL_SET_SIZE: Final = 16

# Event bits: MIPS differs from the host in POLLWRBAND and POLLWRNORM (asm/poll.h).
_GUEST_WRBAND: Final = 0x100
_HOST_WRNORM: Final = 0x100
_HOST_WRBAND: Final = 0x200
_POLLOUT: Final = 0x4


def _host_events(events: int) -> int:
    return events & ~0x300 | (_HOST_WRBAND if events & _GUEST_WRBAND else 0)


def _guest_events(events: int) -> int:
    normal = _POLLOUT if events & _HOST_WRNORM else 0
    return events & ~0x300 | normal | (_GUEST_WRBAND if events & _HOST_WRBAND else 0)


def _timeout(milliseconds: int) -> HostStructure | None:
    if milliseconds < 0:
        return None
    return HostStructure(TIMESPEC64, {"sec": milliseconds // 1000, "nsec": milliseconds % 1000 * 1_000_000})


_NO_TIME: Final = HostStructure(TIMESPEC64, {})


def _unless_interrupted(process: LinuxProcess, timeout: HostStructure | None) -> HostStructure | None:
    """No time to wait if one of the guest's own signals is already there to interrupt the wait."""
    return _NO_TIME if process.signals.has_deliverable() else timeout


def _or_interrupted(process: LinuxProcess, result: int) -> int:
    """A wait that ended with nothing because of such a signal has been interrupted."""
    return -errno.EINTR if result == 0 and process.signals.has_deliverable() else result


def _mask(process: LinuxProcess, address: int, size: int) -> bytes | None:
    """The host's signal set for the guest's at `address`, which becomes the guest's mask meanwhile."""
    if not address:
        return None
    if size != _SIGNAL_SET_SIZE:
        raise OSError(errno.EINVAL, "not the size of a signal set")
    mask = signal_set_mask(process.memory.words(address, 4))
    process.signals.suspend(mask)
    return host_mask(mask).to_bytes(8, "little")


def _poll(
    process: LinuxProcess, address: int, count: int, timeout: HostStructure | None, mask: bytes | None
) -> int:
    if count > _MAXIMUM_DESCRIPTORS:
        return -errno.EINVAL
    form = f"{'>' if process.memory.big_endian else '<'}{'ihH' * count}"
    guest = list(struct.unpack(form, process.space.read(address, _POLLFD_SIZE * count)))
    host = list(guest)
    host[1::3] = [_host_events(events & 0xFFFF) for events in guest[1::3]]
    host[2::3] = [0] * count
    buffer = ctypes.create_string_buffer(
        struct.pack(f"={'iHH' * count}", *host), max(_POLLFD_SIZE * count, 1)
    )
    timeout = _unless_interrupted(process, timeout)
    result = process.waiting_call("ppoll", buffer, count, timeout and timeout.buffer, mask, 8)
    result = _or_interrupted(process, result)
    if result >= 0:
        returned = struct.unpack(f"={'iHH' * count}", buffer.raw[: _POLLFD_SIZE * count])
        guest[2::3] = [_guest_events(events) for events in returned[2::3]]
        process.space.write(address, struct.pack(form, *guest))
    return result


@system_call("poll", POINTER, UINT, INT, restarts=False)
def poll(process: LinuxProcess, address: int, count: int, milliseconds: int) -> int:
    return _poll(process, address, count, _timeout(milliseconds), None)


@timed_system_call("ppoll", "ppoll_time64", POINTER, UINT, POINTER, POINTER, SIZE, restarts=False)
def ppoll(
    process: LinuxProcess, address: int, count: int, time: int, mask: int, size: int, wide: bool
) -> int:
    timeout = host_time(process, time, wide)
    host = _mask(process, mask, size)
    result = _poll(process, address, count, timeout, host)
    if result != -errno.EINTR:
        process.signals.resume()
    store_host_time(process, time, wide, timeout)
    return result


class _DescriptorSet:
    """An fd_set: 32-bit words in the guest's order against the host's 64-bit words."""

    def __init__(self, process: LinuxProcess, address: int, count: int) -> None:
        self._process = process
        self._address = address
        self._words = (count + 31) // 32
        self.buffer = None
        if address:
            host = b"".join(word.to_bytes(4, "little") for word in process.memory.words(address, self._words))
            self.buffer = ctypes.create_string_buffer(host, (len(host) + 7) & ~7 or 8)

    def store(self) -> None:
        if self.buffer is None:
            return
        raw = self.buffer.raw
        order = self._process.memory.byte_order
        data = b"".join(
            int.from_bytes(raw[4 * i : 4 * i + 4], "little").to_bytes(4, order) for i in range(self._words)
        )
        self._process.space.write(self._address, data)


def _select(
    process: LinuxProcess,
    count: int,
    addresses: tuple[int, int, int],
    timeout: HostStructure | None,
    mask: bytes | None,
) -> int:
    if not 0 <= count <= _MAXIMUM_DESCRIPTORS:
        return -errno.EINVAL
    sets = [_DescriptorSet(process, address, count) for address in addresses]
    mask_buffer = ctypes.create_string_buffer(mask) if mask is not None else None
    mask_address = ctypes.addressof(mask_buffer) if mask_buffer is not None else 0
    timeout = _unless_interrupted(process, timeout)
    result = process.waiting_call(
        "pselect6",
        count,
        *(one.buffer for one in sets),
        timeout and timeout.buffer,
        struct.pack("=QQ", mask_address, 8),
    )
    result = _or_interrupted(process, result)
    if result >= 0:
        for one in sets:
            one.store()
    return result


@system_call("_newselect", INT, POINTER, POINTER, POINTER, POINTER, restarts=False)
def newselect(process: LinuxProcess, count: int, reading: int, writing: int, other: int, time: int) -> int:
    timeout = None
    if time:
        seconds, microseconds = read_time(process, time, wide=False)
        if seconds < 0 or microseconds < 0:
            return -errno.EINVAL
        seconds += microseconds // 1_000_000
        timeout = HostStructure(TIMESPEC64, {"sec": seconds, "nsec": microseconds % 1_000_000 * 1000})
    result = _select(process, count, (reading, writing, other), timeout, None)
    if timeout is not None and result >= 0:
        left = timeout.values()
        process.memory.set_word(time, left["sec"])
        process.memory.set_word(time + 4, left["nsec"] // 1000)
    return result


@timed_system_call(
    "pselect6", "pselect6_time64", INT, POINTER, POINTER, POINTER, POINTER, POINTER, restarts=False
)
def pselect6(
    process: LinuxProcess,
    count: int,
    reading: int,
    writing: int,
    other: int,
    time: int,
    mask_argument: int,
    *,
    wide: bool,
) -> int:
    timeout = host_time(process, time, wide)
    mask = None
    if mask_argument:
        mask_address, size = process.memory.words(mask_argument, 2)
        mask = _mask(process, mask_address, size)
    result = _select(process, count, (reading, writing, other), timeout, mask)
    if result != -errno.EINTR:
        process.signals.resume()
    store_host_time(process, time, wide, timeout)
    return result


# epoll

_EPOLL_EVENT: Final = Layout("I events, Q data")
_HOST_EPOLL_EVENT: Final = Layout("I events, Q data", packed=platform.machine() == "x86_64")


@system_call("epoll_create", INT)
def epoll_create(process: LinuxProcess, size: int) -> int:
    return host_call("epoll_create1", 0) if size > 0 else -errno.EINVAL


@system_call("epoll_create1", OPEN_FLAGS)
def epoll_create1(process: LinuxProcess, flags: int) -> int:
    return host_call("epoll_create1", host_open_flags(flags))


@system_call("epoll_ctl", FD, INT, FD, POINTER)
def epoll_ctl(process: LinuxProcess, epoll: int, operation: int, fd: int, address: int) -> int:
    event = None
    if address:
        event = HostStructure(_HOST_EPOLL_EVENT, process.memory.structure(_EPOLL_EVENT, address))
    return host_call("epoll_ctl", epoll, operation, fd, event and event.buffer)


def _epoll_wait(
    process: LinuxProcess, epoll: int, address: int, count: int, milliseconds: int, mask: bytes | None
) -> int:
    if not 0 < count <= _MAXIMUM_DESCRIPTORS:
        return -errno.EINVAL
    size = _HOST_EPOLL_EVENT.size
    buffer = ctypes.create_string_buffer(size * count)
    if process.signals.has_deliverable():
        milliseconds = 0
    result = process.waiting_call("epoll_pwait", epoll, buffer, count, milliseconds, mask, 8)
    result = _or_interrupted(process, result)
    raw = buffer.raw
    for index in range(max(result, 0)):
        values = _HOST_EPOLL_EVENT.unpack(False, raw[size * index : size * (index + 1)])
        process.memory.set_structure(_EPOLL_EVENT, address + _EPOLL_EVENT.size * index, values)
    return result


@system_call("epoll_wait", FD, POINTER, INT, INT, restarts=False)
def epoll_wait(process: LinuxProcess, epoll: int, address: int, count: int, milliseconds: int) -> int:
    return _epoll_wait(process, epoll, address, count, milliseconds, None)


@system_call("epoll_pwait", FD, POINTER, INT, INT, POINTER, SIZE, restarts=False)
def epoll_pwait(
    process: LinuxProcess, epoll: int, address: int, count: int, milliseconds: int, mask: int, size: int
) -> int:
    host = _mask(process, mask, size)
    result = _epoll_wait(process, epoll, address, count, milliseconds, host)
    if result != -errno.EINTR:
        process.signals.resume()
    return result
