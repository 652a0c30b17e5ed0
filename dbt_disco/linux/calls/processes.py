"""The process itself: ending it, its name and attributes, thread-local storage."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.exit_status import ExitStatus, ProcessExit
from dbt_disco.linux.host_kernel import HostStructure, host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.signal_numbers import guest_signal, host_signal
from dbt_disco.linux.structures import UTSNAME
from dbt_disco.linux.system_call import (
    INT,
    POINTER,
    SIZE,
    UINT,
    system_call,
)
from dbt_disco.linux.vcpu import Vcpu

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_COMMAND_NAME_SIZE: Final = 16
_NUMBER: Final = Layout("i number")


@system_call("exit", INT)
@system_call("exit_group", INT)
def exit_(process: LinuxProcess, status: int) -> int:
    raise ProcessExit(ExitStatus(status & 0xFF))


@system_call("uname", POINTER)
def uname(process: LinuxProcess, address: int) -> int:
    host = os.uname()
    fields = {
        "sysname": host.sysname,
        "nodename": host.nodename,
        "release": host.release,
        "version": host.version,
        "machine": "mips",
        "domainname": "(none)",
    }
    process.memory.set_structure(
        UTSNAME, address, {name: text.encode()[:64] for name, text in fields.items()}
    )
    return 0


@system_call("set_thread_area", POINTER)
def set_thread_area(process: LinuxProcess, address: int) -> int:
    process.vcpu.state.user_local = address
    return 0


@system_call("set_tid_address", POINTER)
def set_tid_address(process: LinuxProcess, address: int) -> int:
    process.clear_child_tid = address
    return host_call("gettid")


@system_call("rseq", POINTER, UINT, INT, UINT)
def rseq(process: LinuxProcess, area: int, length: int, flags: int, signature: int) -> int:
    """Restartable sequences need the host scheduler's help with guest code; libraries do without."""
    return -errno.ENOSYS


@system_call("personality", UINT)
def personality(process: LinuxProcess, persona: int) -> int:
    query = 0xFFFF_FFFF
    old = process.personality
    if persona != query:
        process.personality = persona
    return old


@system_call("sysmips", INT, INT, INT)
def sysmips(process: LinuxProcess, command: int, first: int, second: int) -> int:
    atomic_set, flush_cache, fix_unaligned = 2001, 3, 7
    if command in (flush_cache, fix_unaligned):
        return 0
    if command == atomic_set:
        address = first & 0xFFFF_FFFF
        if address & 3:
            return -errno.EINVAL
        old = process.memory.word(address)
        process.memory.set_word(address, second)
        state = process.vcpu.state
        state.gpr[2], state.gpr[7] = old, 0  # any value is a result here, also one that looks like an error
        state.pc += 4
        return None  # type: ignore[return-value]
    return -errno.EINVAL


@system_call("ptrace", INT, INT, POINTER, POINTER)
def ptrace(process: LinuxProcess, request: int, pid: int, address: int, data: int) -> int:
    return -errno.EPERM


@system_call("getrandom", POINTER, SIZE, UINT)
def getrandom(process: LinuxProcess, address: int, size: int, flags: int) -> int:
    process.space.prepare_write(address, size)
    return host_call("getrandom", process.space.host_pointer(address), min(size, 0x7FFF_FFFF), flags)


# prctl

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_GET_NAME: Final = 16
_PR_SET_TIMERSLACK: Final = 29
_PR_GET_TIMERSLACK: Final = 30
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_SET_FP_MODE: Final = 45
_PR_GET_FP_MODE: Final = 46
_FP_MODE_FR: Final = 1
_PLAIN_OPTIONS: Final = frozenset(
    {
        _PR_GET_DUMPABLE,
        _PR_SET_TIMERSLACK,
        _PR_GET_TIMERSLACK,
        _PR_SET_CHILD_SUBREAPER,
        _PR_SET_NO_NEW_PRIVS,
        _PR_GET_NO_NEW_PRIVS,
    }
)


@system_call("prctl", INT, UINT, UINT, UINT, UINT)
def prctl(process: LinuxProcess, option: int, second: int, third: int, fourth: int, fifth: int) -> int:
    if option in _PLAIN_OPTIONS:
        return host_call("prctl", option, second, third, fourth, fifth)
    if option == _PR_SET_NAME:
        process.command_name = process.memory.string(second, _COMMAND_NAME_SIZE)[: _COMMAND_NAME_SIZE - 1]
        return host_call("prctl", option, process.command_name + b"\0")
    if option == _PR_GET_NAME:
        process.space.write(second, process.command_name.ljust(_COMMAND_NAME_SIZE, b"\0"))
        return 0
    if option == _PR_SET_PDEATHSIG:
        number = host_signal(second) if second else 0
        return -errno.EINVAL if number is None else host_call("prctl", option, number)
    if option == _PR_GET_PDEATHSIG:
        host = HostStructure(_NUMBER)
        result = host_call("prctl", option, host.buffer)
        process.memory.set_word(second, guest_signal(host.values()["number"]) or 0)
        return result
    if option == _PR_SET_DUMPABLE:
        return 0 if second <= 1 else -errno.EINVAL
    if option == _PR_GET_FP_MODE:
        return _FP_MODE_FR if process.vcpu.wide_fpu else 0
    if option == _PR_SET_FP_MODE:
        return _set_fpu_mode(process.vcpu, second)
    return -errno.EINVAL


def _set_fpu_mode(vcpu: Vcpu, mode: int) -> int:
    """Switch Status.FR."""
    if mode & ~_FP_MODE_FR:
        return -errno.EOPNOTSUPP
    vcpu.wide_fpu = bool(mode & _FP_MODE_FR)
    return 0


# Making processes and threads is another issue: fork and clone are not implemented, so there are no children.


def _no_children(process: LinuxProcess, *arguments: int) -> int:
    return -errno.ECHILD


system_call("wait4", INT, POINTER, INT, POINTER)(_no_children)
system_call("waitpid", INT, POINTER, INT)(_no_children)
system_call("waitid", INT, INT, POINTER, INT, POINTER)(_no_children)
