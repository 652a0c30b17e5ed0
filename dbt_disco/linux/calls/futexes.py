"""Futexes, on the host's own: the guest's words are at fixed host addresses, private to this process."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_time import host_time
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import INT, POINTER, UINT, system_call, timed_system_call

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_FUTEX_WAIT: Final = 0
_FUTEX_WAKE: Final = 1
_FUTEX_REQUEUE: Final = 3
_FUTEX_CMP_REQUEUE: Final = 4
_FUTEX_WAKE_OP: Final = 5
_FUTEX_WAIT_BITSET: Final = 9
_FUTEX_WAKE_BITSET: Final = 10
_COMMAND_MASK: Final = 0x7F
_WAITS: Final = frozenset({_FUTEX_WAIT, _FUTEX_WAIT_BITSET})
_REQUEUES: Final = frozenset({_FUTEX_REQUEUE, _FUTEX_CMP_REQUEUE, _FUTEX_WAKE_OP})


@timed_system_call("futex", "futex_time64", POINTER, INT, UINT, POINTER, POINTER, UINT)
def futex(
    process: LinuxProcess,
    address: int,
    operation: int,
    value: int,
    fourth: int,
    second: int,
    third: int,
    wide: bool,
) -> int:
    command = operation & _COMMAND_MASK
    space = process.space
    if command in (_FUTEX_CMP_REQUEUE, _FUTEX_WAKE_OP) and process.memory.big_endian:
        return -errno.ENOSYS  # the host would compare or change the word in its own byte order
    if command in _WAITS:
        if process.memory.big_endian:  # the host compares the word in its own byte order
            value = int.from_bytes(value.to_bytes(4, "big"), "little")
        timeout = host_time(process, fourth, wide)
        return process.waiting_call(
            "futex", space.host_pointer(address), operation, value, timeout and timeout.buffer, 0, third
        )
    if command in _REQUEUES:
        target = space.host_pointer(second)
        return host_call("futex", space.host_pointer(address), operation, value, fourth, target, third)
    if command in (_FUTEX_WAKE, _FUTEX_WAKE_BITSET):
        return host_call("futex", space.host_pointer(address), operation, value, 0, 0, third)
    return -errno.ENOSYS  # priority inheritance: the guest's thread numbers would have to be the host's


@system_call("set_robust_list", POINTER, UINT)
def set_robust_list(process: LinuxProcess, head: int, size: int) -> int:
    """Only matters when a thread dies holding a lock that others wait for."""
    if size != 12:
        return -errno.EINVAL
    process.robust_list = head
    return 0


@system_call("get_robust_list", INT, POINTER, POINTER)
def get_robust_list(process: LinuxProcess, pid: int, head: int, size: int) -> int:
    if pid not in (0, host_call("gettid")):
        return -errno.ESRCH
    process.memory.set_word(head, process.robust_list)
    process.memory.set_word(size, 12)
    return 0
