"""Timers: interval timers, POSIX timers, timer descriptors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.open_flags import host_open_flags
from dbt_disco.linux.signal_numbers import host_signal
from dbt_disco.linux.structures import HOST_SIGEVENT, ITIMERVAL, ITIMERVAL64, SIGEVENT
from dbt_disco.linux.system_call import (
    CLOCK,
    FD,
    INT,
    OPEN_FLAGS,
    POINTER,
    UINT,
    system_call,
    timed_system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_ITIMER_REAL: Final = 0
_TIMER_ID: Final = Layout("i id")


def _layout(wide: bool) -> Layout:
    return ITIMERVAL64 if wide else ITIMERVAL


def _host_setting(process: LinuxProcess, address: int, wide: bool) -> HostStructure | None:
    if not address:
        return None
    return HostStructure(ITIMERVAL64, process.memory.structure(_layout(wide), address))


def _store(process: LinuxProcess, address: int, wide: bool, host: HostStructure) -> None:
    if address:
        process.memory.set_structure(_layout(wide), address, host.values())


def _set(process: LinuxProcess, call: str, leading: tuple[int, ...], new: int, old: int, wide: bool) -> int:
    """The shape of every `…_settime`: an optional new setting, an optional place for the old."""
    setting = _host_setting(process, new, wide)
    before = HostStructure(ITIMERVAL64)
    result = host_call(call, *leading, setting and setting.buffer, before.buffer)
    if result >= 0:
        _store(process, old, wide, before)
    return result


def _get(process: LinuxProcess, call: str, which: int, address: int, wide: bool) -> int:
    now = HostStructure(ITIMERVAL64)
    result = host_call(call, which, now.buffer)
    if result >= 0:
        process.memory.set_structure(_layout(wide), address, now.values())
    return result


@system_call("setitimer", INT, POINTER, POINTER)
def setitimer(process: LinuxProcess, which: int, new: int, old: int) -> int:
    return _set(process, "setitimer", (which,), new, old, wide=False)


@system_call("getitimer", INT, POINTER)
def getitimer(process: LinuxProcess, which: int, address: int) -> int:
    return _get(process, "getitimer", which, address, wide=False)


@system_call("alarm", UINT)
def alarm(process: LinuxProcess, seconds: int) -> int:
    setting = HostStructure(ITIMERVAL64, {"value": seconds})
    before = HostStructure(ITIMERVAL64)
    result = host_call("setitimer", _ITIMER_REAL, setting.buffer, before.buffer)
    if result < 0:
        return result
    left: dict[str, Any] = before.values()
    # As Linux: round to the nearest second, but never a running timer to none.
    rounded = int(left["value"]) + (left["value_part"] >= 500_000)
    return rounded or int(left["value_part"] > 0)


@system_call("timer_create", CLOCK, POINTER, POINTER)
def timer_create(process: LinuxProcess, clock: int, event: int, identifier: int) -> int:
    host_event = None
    if event:
        values = process.memory.structure(SIGEVENT, event)
        if values["signo"]:
            values["signo"] = host_signal(values["signo"])
            if values["signo"] is None:
                return -errno.EINVAL
        host_event = HostStructure(HOST_SIGEVENT, values)
    created = HostStructure(_TIMER_ID)
    result = host_call("timer_create", clock, host_event and host_event.buffer, created.buffer)
    if result >= 0:
        process.memory.set_word(identifier, created.values()["id"])
    return result


@timed_system_call("timer_settime", "timer_settime64", INT, INT, POINTER, POINTER)
def timer_settime(process: LinuxProcess, timer: int, flags: int, new: int, old: int, *, wide: bool) -> int:
    return _set(process, "timer_settime", (timer, flags), new, old, wide=wide)


@timed_system_call("timer_gettime", "timer_gettime64", INT, POINTER)
def timer_gettime(process: LinuxProcess, timer: int, address: int, *, wide: bool) -> int:
    return _get(process, "timer_gettime", timer, address, wide=wide)


@system_call("timerfd_create", CLOCK, OPEN_FLAGS)
def timerfd_create(process: LinuxProcess, clock: int, flags: int) -> int:
    process.reads_kernel_records = True
    return host_call("timerfd_create", clock, host_open_flags(flags))


@timed_system_call("timerfd_settime", "timerfd_settime64", FD, INT, POINTER, POINTER)
def timerfd_settime(process: LinuxProcess, fd: int, flags: int, new: int, old: int, *, wide: bool) -> int:
    return _set(process, "timerfd_settime", (fd, flags), new, old, wide=wide)


@timed_system_call("timerfd_gettime", "timerfd_gettime64", FD, POINTER)
def timerfd_gettime(process: LinuxProcess, fd: int, address: int, *, wide: bool) -> int:
    return _get(process, "timerfd_gettime", fd, address, wide=wide)
