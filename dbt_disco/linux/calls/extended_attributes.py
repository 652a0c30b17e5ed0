"""Extended attributes of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dbt_disco.linux.guest_path import guest_path
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import (
    BUFFER,
    FD,
    PATH,
    POINTER,
    SIZE,
    UINT,
    system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_NAME_LIMIT = 256


def _target(process: LinuxProcess, call: str, target: int) -> bytes | int:
    """The `f…` calls name an open file, the others a path."""
    if call.startswith("f"):
        return target
    return guest_path(process, target, follow=not call.startswith("l") or call == "listxattr")


def _buffer(process: LinuxProcess, address: int) -> int:
    return process.space.host_pointer(address) if address else 0


def _getter(call: str) -> Callable[..., int]:
    def get(process: LinuxProcess, target: int, name: int, value: int, size: int) -> int:
        attribute = process.memory.string(name, _NAME_LIMIT)
        process.space.prepare_write(value, size)
        return host_call(call, _target(process, call, target), attribute, _buffer(process, value), size)

    return get


def _setter(call: str) -> Callable[..., int]:
    def set_(process: LinuxProcess, target: int, name: int, value: int, size: int, flags: int) -> int:
        attribute = process.memory.string(name, _NAME_LIMIT)
        host_target = _target(process, call, target)
        return host_call(call, host_target, attribute, _buffer(process, value), size, flags)

    return set_


def _lister(call: str) -> Callable[..., int]:
    def list_(process: LinuxProcess, target: int, names: int, size: int) -> int:
        process.space.prepare_write(names, size)
        return host_call(call, _target(process, call, target), _buffer(process, names), size)

    return list_


def _remover(call: str) -> Callable[..., int]:
    def remove(process: LinuxProcess, target: int, name: int) -> int:
        return host_call(call, _target(process, call, target), process.memory.string(name, _NAME_LIMIT))

    return remove


for _prefix in ("", "l", "f"):
    _kind = FD if _prefix == "f" else PATH
    system_call(f"{_prefix}getxattr", _kind, PATH, POINTER, SIZE)(_getter(f"{_prefix}getxattr"))
    system_call(f"{_prefix}setxattr", _kind, PATH, BUFFER, SIZE, UINT)(_setter(f"{_prefix}setxattr"))
    system_call(f"{_prefix}listxattr", _kind, POINTER, SIZE)(_lister(f"{_prefix}listxattr"))
    system_call(f"{_prefix}removexattr", _kind, PATH)(_remover(f"{_prefix}removexattr"))
