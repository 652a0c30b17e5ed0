"""`--strace`: system calls, signals and the end of the process, one line each, on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, TextIO

from dbt_disco.linux.errno_numbers import GUEST_NAMES, guest_errno
from dbt_disco.linux.exit_status import ExitStatus
from dbt_disco.linux.guest_memory import GuestFault, GuestMemory
from dbt_disco.linux.open_flags import open_flag_names
from dbt_disco.linux.signal_info import SignalInfo
from dbt_disco.linux.signal_numbers import signal_name
from dbt_disco.linux.system_call import (
    BUFFER,
    CLOCK,
    DIRFD,
    FOLLOWED_PATH,
    MAP_FLAGS,
    MODE,
    OPEN_FLAGS,
    PATH,
    POINTER,
    PROTECTION,
    SIGNAL,
    SIZE,
    TEXT,
    UINT,
    Kind,
    SystemCall,
)
from runtime.host_signals import NOT_MADE
from translator.state import CpuState

_TEXT_LIMIT: Final = 32
"""Longer buffers are cut short, as strace does."""
_CLOCKS: Final = {
    0: "CLOCK_REALTIME",
    1: "CLOCK_MONOTONIC",
    2: "CLOCK_PROCESS_CPUTIME_ID",
    3: "CLOCK_THREAD_CPUTIME_ID",
    4: "CLOCK_MONOTONIC_RAW",
    5: "CLOCK_REALTIME_COARSE",
    6: "CLOCK_MONOTONIC_COARSE",
    7: "CLOCK_BOOTTIME",
}
_ADDRESS_RESULTS: Final = frozenset({"mmap", "mmap2", "mremap", "brk"})


def _quoted(data: bytes, *, cut: bool) -> str:
    text = data[:_TEXT_LIMIT] if cut else data
    escaped = text.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"')
    return f'"{escaped}"' + ("..." if len(text) < len(data) else "")


def _number(memory: GuestMemory, value: int) -> str:
    return str(value)


def _pointer(memory: GuestMemory, value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def _path(memory: GuestMemory, value: int) -> str:
    try:
        return _quoted(memory.string(value, 4096), cut=False)
    except GuestFault:
        return _pointer(memory, value)


def _protection(memory: GuestMemory, value: int) -> str:
    names = [name for bit, name in ((1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")) if value & bit]
    return "|".join(names) or "PROT_NONE"


def _map_flags(memory: GuestMemory, value: int) -> str:
    from dbt_disco.linux.calls.memory import MAP_FLAG_TABLE

    return MAP_FLAG_TABLE.names(value)


_FORMATTERS: Final[dict[Kind, Callable[[GuestMemory, int], str]]] = {
    POINTER: _pointer,
    BUFFER: _pointer,
    PATH: _path,
    FOLLOWED_PATH: _path,
    TEXT: _path,
    UINT: lambda memory, value: f"{value:#x}" if value > 9 else str(value),
    SIZE: _number,
    DIRFD: lambda memory, value: "AT_FDCWD" if value == -100 else str(value),
    OPEN_FLAGS: lambda memory, value: open_flag_names(value),
    MODE: lambda memory, value: f"{value:#o}" if value else "0",
    PROTECTION: _protection,
    MAP_FLAGS: _map_flags,
    SIGNAL: lambda memory, value: signal_name(value) if value > 0 else str(value),
    CLOCK: lambda memory, value: _CLOCKS.get(value, str(value)),
}


class Strace:
    """Writes the trace. A call's line is begun before it is made: one that never returns shows too."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._pid = os.getpid()

    def begin(self, memory: GuestMemory, call: SystemCall, arguments: list[int]) -> None:
        """A call is about to be made."""
        shown = []
        for index, (kind, value) in enumerate(zip(call.kinds, arguments, strict=True)):
            if kind is BUFFER and index + 1 < len(arguments):
                shown.append(self._buffer(memory, value, arguments[index + 1]))
            elif call.name == "ioctl" and index == 1:
                from dbt_disco.linux.calls.terminals import request_name

                shown.append(request_name(value) or f"{value:#x}")
            else:
                shown.append(_FORMATTERS.get(kind, _number)(memory, value))
        self._write(f"{self._pid} {call.name}({','.join(shown)})")

    def end(self, call: SystemCall, result: int | None) -> None:
        """It has returned."""
        if result is None:
            self._write(" = ?\n")
        elif result == NOT_MADE:
            self._write(" = ? ERESTARTSYS (a signal comes first)\n")
        elif -4096 < result < 0:
            number = guest_errno(-result)
            text = os.strerror(-result)
            self._write(f" = -1 {GUEST_NAMES.get(number, number)} ({text})\n")
        elif call.name in _ADDRESS_RESULTS:
            self._write(f" = {result:#x}\n")
        else:
            self._write(f" = {result}\n")

    def unknown(self, name: str, words: list[int]) -> None:
        """A call that is not implemented."""
        shown = ",".join(f"{word:#x}" for word in words)
        self._write(f"{self._pid} {name}({shown}) = -1 ENOSYS (not implemented by dbt-disco)\n")

    def signal(self, info: SignalInfo) -> None:
        """A signal's handler is about to run."""
        self._write(f"--- {signal_name(info.number)} {{si_code={info.code}}} ---\n")

    def fault(self, info: SignalInfo, state: CpuState) -> None:
        """An instruction has raised a signal."""
        fields = f"si_code={info.code}, si_addr={info.words[0]:#x}"
        self._write(f"--- {signal_name(info.number)} {{{fields}}} at pc {state.pc:#x} ---\n")

    def ended(self, status: ExitStatus) -> None:
        """The process has ended."""
        if status.signal:
            self._write(f"\n+++ killed by {signal_name(status.signal)} +++\n")
        else:
            self._write(f"\n+++ exited with {status.code} +++\n")

    def _buffer(self, memory: GuestMemory, address: int, length: int) -> str:
        try:
            data = memory.space.read(address, min(length, _TEXT_LIMIT + 1))
        except GuestFault:
            return _pointer(memory, address)
        return _quoted(data, cut=True)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
