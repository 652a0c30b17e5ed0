"""User and group numbers, which are the host's."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import INT, POINTER, system_call

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_MAXIMUM_GROUPS: Final = 65536


def _three(process: LinuxProcess, call: str, addresses: tuple[int, int, int]) -> int:
    numbers = [ctypes.c_uint() for _ in addresses]
    result = host_call(call, *(ctypes.byref(number) for number in numbers))
    for address, number in zip(addresses, numbers, strict=True):
        process.memory.set_word(address, number.value)
    return result


@system_call("getresuid", POINTER, POINTER, POINTER)
def getresuid(process: LinuxProcess, real: int, effective: int, saved: int) -> int:
    return _three(process, "getresuid", (real, effective, saved))


@system_call("getresgid", POINTER, POINTER, POINTER)
def getresgid(process: LinuxProcess, real: int, effective: int, saved: int) -> int:
    return _three(process, "getresgid", (real, effective, saved))


@system_call("getgroups", INT, POINTER)
def getgroups(process: LinuxProcess, size: int, address: int) -> int:
    if not 0 <= size <= _MAXIMUM_GROUPS:
        return -errno.EINVAL
    groups = (ctypes.c_uint * max(size, 1))()
    result = host_call("getgroups", size, groups)
    for index in range(result if size else 0):
        process.memory.set_word(address + 4 * index, groups[index])
    return result


@system_call("setgroups", INT, POINTER)
def setgroups(process: LinuxProcess, size: int, address: int) -> int:
    if not 0 <= size <= _MAXIMUM_GROUPS:
        return -errno.EINVAL
    return host_call("setgroups", size, struct.pack(f"={size}I", *process.memory.words(address, size)))
