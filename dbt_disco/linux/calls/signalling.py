"""Signals: actions, masks, waiting, sending, returning from handlers."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.guest_time import host_time
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.open_flags import host_open_flags
from dbt_disco.linux.signal_frame import AlternateStack, signal_set_mask, signal_set_words
from dbt_disco.linux.signal_info import SI_TKILL, SI_USER, SIGNAL_INFO_SIZE, SignalInfo, host_signal_info
from dbt_disco.linux.signal_numbers import (
    SIGKILL,
    SIGSTOP,
    host_mask,
    host_signal,
)
from dbt_disco.linux.signals import Action, valid
from dbt_disco.linux.system_call import (
    FD,
    INT,
    OPEN_FLAGS,
    POINTER,
    SIGNAL,
    SIZE,
    system_call,
    timed_system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_SIG_BLOCK: Final = 1
_SIG_UNBLOCK: Final = 2
_SIG_SETMASK: Final = 3
_SET_SIZE: Final = 16
_ACTION: Final = Layout("I flags, I handler, 4I mask")
_STACK: Final = Layout("I sp, I size, I flags")
_MINIMUM_STACK: Final = 2048
_SS_ONSTACK: Final = 1
_SS_DISABLE: Final = 2


def _change_action(process: LinuxProcess, number: int, new: int, old: int) -> int:
    if not valid(number) or (new and number in (SIGKILL, SIGSTOP)):
        return -errno.EINVAL
    before = process.signals.action(number)
    if new:
        values = process.memory.structure(_ACTION, new)
        action = Action(values["handler"], values["flags"], signal_set_mask(values["mask"]))
        process.signals.set_action(number, action)
    if old:
        values = {
            "flags": before.flags,
            "handler": before.handler,
            "mask": signal_set_words(before.mask),
        }
        process.memory.set_structure(_ACTION, old, values)
    return 0


@system_call("rt_sigaction", SIGNAL, POINTER, POINTER, SIZE)
def rt_sigaction(process: LinuxProcess, number: int, new: int, old: int, size: int) -> int:
    return _change_action(process, number, new, old) if size == _SET_SIZE else -errno.EINVAL


@system_call("sigaction", SIGNAL, POINTER, POINTER)
def sigaction(process: LinuxProcess, number: int, new: int, old: int) -> int:
    """Same structure; only the first word of the mask counts."""
    if not new:
        return _change_action(process, number, 0, old)
    values = process.memory.structure(_ACTION, new)
    if not valid(number) or number in (SIGKILL, SIGSTOP):
        return -errno.EINVAL
    result = _change_action(process, number, 0, old)
    process.signals.set_action(number, Action(values["handler"], values["flags"], values["mask"][0]))
    return result


@system_call("signal", SIGNAL, POINTER)
def signal(process: LinuxProcess, number: int, handler: int) -> int:
    """System V semantics: one shot, not blocked meanwhile."""
    if not valid(number) or number in (SIGKILL, SIGSTOP):
        return -errno.EINVAL
    one_shot, no_mask = 0x8000_0000, 0x4000_0000
    before = process.signals.action(number).handler
    process.signals.set_action(number, Action(handler, one_shot | no_mask))
    return before


def _change_mask(process: LinuxProcess, how: int, new: int | None) -> int:
    signals = process.signals
    if new is None:
        return 0
    if how == _SIG_BLOCK:
        signals.set_mask(signals.mask | new)
    elif how == _SIG_UNBLOCK:
        signals.set_mask(signals.mask & ~new)
    elif how == _SIG_SETMASK:
        signals.set_mask(new)
    else:
        return -errno.EINVAL
    return 0


@system_call("rt_sigprocmask", INT, POINTER, POINTER, SIZE)
def rt_sigprocmask(process: LinuxProcess, how: int, new: int, old: int, size: int) -> int:
    if size != _SET_SIZE:
        return -errno.EINVAL
    before = process.signals.mask
    mask = signal_set_mask(process.memory.words(new, 4)) if new else None
    result = _change_mask(process, how, mask)
    if result == 0 and old:
        _store_set(process, old, before)
    return result


@system_call("sigprocmask", INT, POINTER, POINTER)
def sigprocmask(process: LinuxProcess, how: int, new: int, old: int) -> int:
    """Only the first 32 signals."""
    before = process.signals.mask
    mask = None
    if new:
        mask = process.memory.word(new)
        if how == _SIG_SETMASK:
            mask |= before & ~0xFFFF_FFFF
    result = _change_mask(process, how, mask)
    if result == 0 and old:
        process.memory.set_word(old, before)
    return result


def _store_set(process: LinuxProcess, address: int, mask: int) -> None:
    order = process.memory.byte_order
    process.space.write(address, b"".join(word.to_bytes(4, order) for word in signal_set_words(mask)))


@system_call("rt_sigpending", POINTER, SIZE)
def rt_sigpending(process: LinuxProcess, address: int, size: int) -> int:
    if size > _SET_SIZE:
        return -errno.EINVAL
    _store_set(process, address, process.signals.pending_on_both())
    return 0


@system_call("sigpending", POINTER)
def sigpending(process: LinuxProcess, address: int) -> int:
    process.memory.set_word(address, process.signals.pending_on_both())
    return 0


def _suspend(process: LinuxProcess, mask: int) -> int:
    """Wait for a signal that `mask` lets through. The host waits; what is already here does not wait."""
    process.signals.suspend(mask)
    if process.signals.has_deliverable():
        return -errno.EINTR
    process.waiting_call("rt_sigsuspend", host_mask(process.signals.mask).to_bytes(8, "little"), 8)
    return -errno.EINTR  # also if a signal came before: it waits for nothing else


@system_call("rt_sigsuspend", POINTER, SIZE, restarts=False)
def rt_sigsuspend(process: LinuxProcess, address: int, size: int) -> int:
    if size != _SET_SIZE:
        return -errno.EINVAL
    return _suspend(process, signal_set_mask(process.memory.words(address, 4)))


@system_call("sigsuspend", POINTER, restarts=False)
def sigsuspend(process: LinuxProcess, address: int) -> int:
    return _suspend(process, process.memory.word(address))


@system_call("pause", restarts=False)
def pause(process: LinuxProcess) -> int:
    return _suspend(process, process.signals.mask)


@timed_system_call(
    "rt_sigtimedwait", "rt_sigtimedwait_time64", POINTER, POINTER, POINTER, SIZE, restarts=False
)
def rt_sigtimedwait(process: LinuxProcess, address: int, info: int, time: int, size: int, wide: bool) -> int:
    if size != _SET_SIZE:
        return -errno.EINVAL
    wanted = signal_set_mask(process.memory.words(address, 4))
    timeout = host_time(process, time, wide)
    found = process.signals.take(wanted)
    if found is None:
        host = ctypes.create_string_buffer(SIGNAL_INFO_SIZE)
        mask = host_mask(wanted).to_bytes(8, "little")
        result = process.waiting_call("rt_sigtimedwait", mask, host, timeout and timeout.buffer, 8)
        if result < 0:
            return result
        found = host_signal_info(host.raw)
        assert found is not None, "the guest has waited for it"
    if info:
        process.space.write(info, found.packed(process.memory.big_endian))
    return found.number


def _sender(number: int, code: int) -> SignalInfo:
    return SignalInfo(number, code, (os.getpid(), os.getuid()))


def _send(process: LinuxProcess, call: str, target: tuple[int, ...], number: int, code: int) -> int:
    """Send to the guest itself through its own queue, to anyone else through the host."""
    if number and not valid(number):
        return -errno.EINVAL
    to_self = target[-1] in (os.getpid(), host_call("gettid"))
    if to_self and number not in (0, SIGKILL, SIGSTOP):
        process.signals.send_to_self(_sender(number, code))
        return 0
    host = host_signal(number) if number else 0
    if host is None:
        return -errno.EINVAL
    return host_call(call, *target, host)


@system_call("kill", INT, SIGNAL)
def kill(process: LinuxProcess, pid: int, number: int) -> int:
    return _send(process, "kill", (pid,), number, SI_USER)


@system_call("tkill", INT, SIGNAL)
def tkill(process: LinuxProcess, tid: int, number: int) -> int:
    return _send(process, "tkill", (tid,), number, SI_TKILL)


@system_call("tgkill", INT, INT, SIGNAL)
def tgkill(process: LinuxProcess, group: int, tid: int, number: int) -> int:
    return _send(process, "tgkill", (group, tid), number, SI_TKILL)


@system_call("rt_sigqueueinfo", INT, SIGNAL, POINTER)
def rt_sigqueueinfo(process: LinuxProcess, pid: int, number: int, address: int) -> int:
    if not valid(number):
        return -errno.EINVAL
    info = SignalInfo.unpacked(process.memory.big_endian, process.space.read(address, SIGNAL_INFO_SIZE))
    if pid == os.getpid():
        process.signals.send_to_self(info._replace(number=number))
        return 0
    host = host_signal(number)
    if host is None:
        return -errno.EINVAL
    return host_call("rt_sigqueueinfo", pid, host, info._replace(number=number).to_host())


@system_call("rt_tgsigqueueinfo", INT, INT, SIGNAL, POINTER)
def rt_tgsigqueueinfo(process: LinuxProcess, group: int, tid: int, number: int, address: int) -> int:
    return int(rt_sigqueueinfo(process, tid, number, address)) if group == os.getpid() else -errno.ESRCH


@system_call("sigaltstack", POINTER, POINTER)
def sigaltstack(process: LinuxProcess, new: int, old: int) -> int:
    stack = process.signals.alternate_stack
    in_use = stack.holds(process.vcpu.state.gpr[29])
    if new:
        values = process.memory.structure(_STACK, new)
        if in_use:
            return -errno.EPERM
        flags = values["flags"]
        if flags & ~(_SS_DISABLE | _SS_ONSTACK):
            return -errno.EINVAL
        if flags & _SS_DISABLE:
            process.signals.alternate_stack = AlternateStack()
        elif values["size"] < _MINIMUM_STACK:
            return -errno.ENOMEM
        else:
            process.signals.alternate_stack = AlternateStack(values["sp"], values["size"], 0)
    if old:
        flags = _SS_ONSTACK if in_use else stack.flags
        process.memory.set_structure(_STACK, old, {"sp": stack.address, "size": stack.size, "flags": flags})
    return 0


@system_call("sigreturn")
def sigreturn(process: LinuxProcess) -> None:
    process.signals.leave_handler(with_info=False)


@system_call("rt_sigreturn")
def rt_sigreturn(process: LinuxProcess) -> None:
    process.signals.leave_handler(with_info=True)


def _signal_descriptor(process: LinuxProcess, fd: int, address: int, size: int, flags: int) -> int:
    if size != _SET_SIZE:
        return -errno.EINVAL
    mask = host_mask(signal_set_mask(process.memory.words(address, 4)))
    process.reads_kernel_records = True
    return host_call("signalfd4", fd, mask.to_bytes(8, "little"), 8, host_open_flags(flags))


@system_call("signalfd", FD, POINTER, SIZE)
def signalfd(process: LinuxProcess, fd: int, address: int, size: int) -> int:
    return _signal_descriptor(process, fd, address, size, 0)


@system_call("signalfd4", FD, POINTER, SIZE, OPEN_FLAGS)
def signalfd4(process: LinuxProcess, fd: int, address: int, size: int, flags: int) -> int:
    return _signal_descriptor(process, fd, address, size, flags)
