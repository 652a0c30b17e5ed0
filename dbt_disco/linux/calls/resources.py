"""Limits, usage, and the state of the machine."""

from __future__ import annotations

import ctypes
import errno
import resource
import struct
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.memory_limits import INFINITY, RESOURCES, Limit
from dbt_disco.linux.structures import HOST_RUSAGE, HOST_SYSINFO, RUSAGE, SYSINFO
from dbt_disco.linux.system_call import INT, POINTER, system_call

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

# Resource numbers: guest (asm/resource.h), and the host's.
_RESOURCES: Final = {
    0: resource.RLIMIT_CPU,
    1: resource.RLIMIT_FSIZE,
    2: resource.RLIMIT_DATA,
    3: resource.RLIMIT_STACK,
    4: resource.RLIMIT_CORE,
    5: resource.RLIMIT_NOFILE,
    6: resource.RLIMIT_AS,
    7: resource.RLIMIT_RSS,
    8: resource.RLIMIT_NPROC,
    9: resource.RLIMIT_MEMLOCK,
    10: 10,  # LOCKS
    11: resource.RLIMIT_SIGPENDING,
    12: resource.RLIMIT_MSGQUEUE,
    13: resource.RLIMIT_NICE,
    14: resource.RLIMIT_RTPRIO,
    15: resource.RLIMIT_RTTIME,
}
_RLIMIT64: Final = Layout("Q current, Q maximum")
_INFINITY32: Final = 0x7FFF_FFFF


def _limit(process: LinuxProcess, pid: int, number: int, new: Limit | None) -> Limit | int:
    """Get and perhaps set a limit; or minus an error."""
    host_number = _RESOURCES.get(number)
    if host_number is None:
        return -errno.EINVAL
    is_own = host_number in RESOURCES and pid in (0, host_call("getpid"))
    old = process.limits.get(host_number) if is_own else None
    if new is not None and host_number == resource.RLIMIT_NOFILE:
        process.prepare_for_confinement()
    if old is None:
        host = HostStructure(_RLIMIT64)
        setting = HostStructure(_RLIMIT64, new._asdict()) if new is not None and not is_own else None
        result = host_call("prlimit64", pid, host_number, setting and setting.buffer, host.buffer)
        if result < 0:
            return result
        old = Limit(**host.values())
    if new is not None and is_own:
        if new.current > new.maximum:
            return -errno.EINVAL
        if new.maximum > old.maximum:
            return -errno.EPERM
        process.limits.set(host_number, new, process.vcpu.state.gpr[29])
    return old


@system_call("prlimit64", INT, INT, POINTER, POINTER)
def prlimit64(process: LinuxProcess, pid: int, number: int, new: int, old: int) -> int:
    setting = Limit(**process.memory.structure(_RLIMIT64, new)) if new else None
    result = _limit(process, pid, number, setting)
    if isinstance(result, int):
        return result
    if old:
        process.memory.set_structure(_RLIMIT64, old, result._asdict())
    return 0


@system_call("getrlimit", INT, POINTER)
def getrlimit(process: LinuxProcess, number: int, address: int) -> int:
    limits = _limit(process, 0, number, None)
    if isinstance(limits, int):
        return limits
    process.memory.set_word(address, min(limits.current, _INFINITY32))
    process.memory.set_word(address + 4, min(limits.maximum, _INFINITY32))
    return 0


@system_call("setrlimit", INT, POINTER)
def setrlimit(process: LinuxProcess, number: int, address: int) -> int:
    words = process.memory.words(address, 2)
    current, maximum = (INFINITY if word >= _INFINITY32 else word for word in words)
    result = _limit(process, 0, number, Limit(current, maximum))
    return min(result, 0) if isinstance(result, int) else 0


@system_call("getrusage", INT, POINTER)
def getrusage(process: LinuxProcess, who: int, address: int) -> int:
    host = HostStructure(HOST_RUSAGE)
    result = host_call("getrusage", who, host.buffer)
    if result >= 0:
        process.memory.set_structure(RUSAGE, address, host.values())
    return result


@system_call("sysinfo", POINTER)
def sysinfo(process: LinuxProcess, address: int) -> int:
    """Amounts of memory that do not fit 32 bits are given in larger units, as a 32-bit kernel does."""
    host = HostStructure(HOST_SYSINFO)
    result = host_call("sysinfo", host.buffer)
    values = host.values()
    amounts = [name for name in SYSINFO.names if name.endswith(("ram", "swap", "high"))]
    shift = 0
    while max(values[name] for name in amounts) >> (32 + shift):
        shift += 1
    for name in amounts:
        values[name] >>= shift
    values["mem_unit"] <<= shift
    process.memory.set_structure(SYSINFO, address, values)
    return result


@system_call("nice", INT)
def nice(process: LinuxProcess, increment: int) -> int:
    highest = 20
    now = highest - host_call("getpriority", 0, 0)
    result = host_call("setpriority", 0, 0, max(-highest, min(now + increment, highest - 1)))
    return -errno.EPERM if result == -errno.EACCES else result


@system_call("capget", POINTER, POINTER)
def capget(process: LinuxProcess, header: int, data: int) -> int:
    """Both structures are arrays of words."""
    buffer = bytearray(struct.pack("=2I", *process.memory.words(header, 2)))
    sets = bytearray(24)

    host_header = (ctypes.c_char * 8).from_buffer(buffer)
    host_sets = (ctypes.c_char * 24).from_buffer(sets)
    result = host_call("capget", host_header, host_sets if data else None)
    process.memory.set_word(header, struct.unpack_from("=I", buffer)[0])
    if result >= 0 and data:
        for index, word in enumerate(struct.unpack("=6I", sets)):
            process.memory.set_word(data + 4 * index, word)
    return result
