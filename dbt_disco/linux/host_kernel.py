"""System calls of the host kernel, made directly: no retry after a signal, errors as negative numbers.

`os` functions are no substitute: they restart after EINTR (PEP 475), which would keep a guest's signals from
interrupting its blocking calls, and they copy. Guest buffers are passed as host pointers into the window; the
kernel itself finds what is not mapped (EFAULT).
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from dbt_disco.linux.host_numbers import NUMBERS
from dbt_disco.linux.layout import Layout

HOST_IS_BIG_ENDIAN: Final = False

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
# A void pointer accepts an integer of any sign, bytes (their address) and None alike.
_syscall.argtypes = [ctypes.c_void_p] * 7


def host_call(name: str, *arguments: Any) -> int:
    """Make the host system call `name`; returns its result, or minus the host's error number.

    Arguments are integers, `bytes` for constant memory, ctypes buffers for memory to be written, or None.
    """
    result = _syscall(NUMBERS[name], *arguments, *_PADDING[len(arguments)])
    return int(result) if result != -1 else -ctypes.get_errno()


_PADDING: Final = tuple((0,) * (6 - count) for count in range(7))


class HostStructure:
    """Memory for one host structure that the kernel fills in."""

    def __init__(self, layout: Layout, values: dict[str, Any] | None = None) -> None:
        self._layout = layout
        self.buffer = ctypes.create_string_buffer(layout.size)
        """To pass to `host_call`."""
        if values is not None:
            self.buffer.raw = layout.pack(HOST_IS_BIG_ENDIAN, values)

    def values(self) -> dict[str, Any]:
        """The structure's fields now."""
        return self._layout.unpack(HOST_IS_BIG_ENDIAN, self.buffer.raw)
