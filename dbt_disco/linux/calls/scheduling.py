"""The scheduler."""

from __future__ import annotations

import ctypes
import errno
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_time import store_host_time
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.structures import TIMESPEC64
from dbt_disco.linux.system_call import INT, POINTER, SIZE, system_call, timed_system_call

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_MAXIMUM_CPU_BYTES: Final = 1 << 13


@system_call("getcpu", POINTER, POINTER, POINTER)
def getcpu(process: LinuxProcess, cpu: int, node: int, unused: int) -> int:
    numbers = (ctypes.c_uint * 2)()
    result = host_call("getcpu", numbers, ctypes.addressof(numbers) + 4, 0)
    for address, number in ((cpu, numbers[0]), (node, numbers[1])):
        if address:
            process.memory.set_word(address, number)
    return result


def _swapped(data: bytes, big_endian: bool) -> bytes:
    """A CPU set's words between the host's order and the guest's."""
    if not big_endian:
        return data
    return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


@system_call("sched_getaffinity", INT, SIZE, POINTER)
def sched_getaffinity(process: LinuxProcess, pid: int, size: int, address: int) -> int:
    if size & 3:
        return -errno.EINVAL
    buffer = ctypes.create_string_buffer((min(size, _MAXIMUM_CPU_BYTES) + 7) & ~7)
    result = host_call("sched_getaffinity", pid, len(buffer), buffer)
    if result < 0:
        return result
    length = min(result, size)
    process.space.write(address, _swapped(buffer.raw[:length], process.memory.big_endian))
    return length


@system_call("sched_setaffinity", INT, SIZE, POINTER)
def sched_setaffinity(process: LinuxProcess, pid: int, size: int, address: int) -> int:
    data = process.space.read(address, min(size & ~3, _MAXIMUM_CPU_BYTES))
    host = _swapped(data, process.memory.big_endian)
    padded = host.ljust((len(host) + 7) & ~7, b"\0")
    return host_call("sched_setaffinity", pid, len(padded), padded)


@system_call("sched_setscheduler", INT, INT, POINTER)
def sched_setscheduler(process: LinuxProcess, pid: int, policy: int, parameters: int) -> int:
    priority = ctypes.c_int(process.memory.word(parameters))
    return host_call("sched_setscheduler", pid, policy, ctypes.byref(priority))


@system_call("sched_getparam", INT, POINTER)
def sched_getparam(process: LinuxProcess, pid: int, parameters: int) -> int:
    priority = ctypes.c_int()
    result = host_call("sched_getparam", pid, ctypes.byref(priority))
    if result >= 0:
        process.memory.set_word(parameters, priority.value)
    return result


@system_call("sched_setparam", INT, POINTER)
def sched_setparam(process: LinuxProcess, pid: int, parameters: int) -> int:
    priority = ctypes.c_int(process.memory.word(parameters))
    return host_call("sched_setparam", pid, ctypes.byref(priority))


@timed_system_call("sched_rr_get_interval", "sched_rr_get_interval_time64", INT, POINTER)
def sched_rr_get_interval(process: LinuxProcess, pid: int, address: int, wide: bool) -> int:
    host = HostStructure(TIMESPEC64)
    result = host_call("sched_rr_get_interval", pid, host.buffer)
    if result >= 0:
        store_host_time(process, address, wide, host)
    return result
