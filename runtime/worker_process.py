"""A process of ours that the guest, whose process this is, does not notice.

A child made in the ordinary way sends SIGCHLD when it ends, would inherit the signals that the guest blocks, and
is connected by file descriptors in the guest's sight. So this one is no child: an intermediate one, which sends no
signal when it ends, starts it and leaves it to init. (That the child itself should send none would not survive its
execve.) Both are made like vfork's, on this process's memory, and run routines in LLVM IR.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final

from runtime.host_descriptors import close_own, out_of_the_way, own_descriptors
from runtime.host_faults import function_address

ROUTINE: Final = "start_worker"
_FUNCTIONS: Final = ("clone", "sigprocmask", "dup2", "execve", "_exit")
_ARGUMENTS: Final = (
    "stack",
    "no_signals",
    "input",
    "output",
    "errors",
    "path",
    "arguments",
    "environment",
    "pid",
)
_CLONE_VM: Final = 0x100
_CLONE_VFORK: Final = 0x4000
_AS_VFORK: Final = _CLONE_VM | _CLONE_VFORK


def _place(name: str) -> str:
    return f"  %{name}.at = getelementptr i64, ptr %table, i64 {(*_FUNCTIONS, *_ARGUMENTS).index(name)}"


def _loaded(*names: str) -> str:
    return "\n".join(f"{_place(name)}\n  %{name} = load ptr, ptr %{name}.at" for name in names)


ROUTINE_IR: Final = f"""\
define i32 @{ROUTINE}(ptr %table) nounwind {{
{_loaded("clone", "_exit", "stack")}
{_place("pid")}
  %process = call i32 (ptr, ptr, i32, ptr, ...) %clone(ptr @execute_worker, ptr %stack, i32 {_AS_VFORK}, ptr %table)
  %wide = sext i32 %process to i64
  store volatile i64 %wide, ptr %pid.at
  call void %_exit(i32 0)
  unreachable
}}

define internal i32 @execute_worker(ptr %table) nounwind {{
{_loaded(*_FUNCTIONS[1:], *_ARGUMENTS[1:-1])}
  %input.wide = ptrtoint ptr %input to i64
  %input.number = trunc i64 %input.wide to i32
  %output.wide = ptrtoint ptr %output to i64
  %output.number = trunc i64 %output.wide to i32
  %errors.wide = ptrtoint ptr %errors to i64
  %errors.number = trunc i64 %errors.wide to i32
  %masked = call i32 %sigprocmask(i32 {int(signal.SIG_SETMASK)}, ptr %no_signals, ptr null)
  %moved.0 = call i32 %dup2(i32 %input.number, i32 0)
  %moved.1 = call i32 %dup2(i32 %output.number, i32 1)
  %moved.2 = call i32 %dup2(i32 %errors.number, i32 2)
  %failed = call i32 %execve(ptr %path, ptr %arguments, ptr %environment)
  call void %_exit(i32 127)
  unreachable
}}
"""

_WALL: Final = 0x4000_0000
"""Option of waitpid: also for children without exit signal."""
_CLOCK_ID_SHIFT, _CLOCK_OF_PROCESS = 3, 2
"""Another process's clock by its number, inverted (Linux, `include/linux/posix-timers.h`: CPUCLOCK_SCHED)."""
_ENDED: Final = -1
"""In place of the descriptor of the process."""
_STACK_SIZE: Final = 1 << 16
_SIGNAL_SET_SIZE: Final = 128
_LAST_WORDS: Final = 4096

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]


def worker_command() -> list[str]:
    """What runs `translator.worker`: the translator that this process has, or the two would not agree on `CpuState`.

    `python -m` would look in the working directory first, which is the guest's to choose. Another installation may come
    first in the path; all but `translator` is looked for as ever, and here last.
    """
    where = str(Path(__file__).resolve().parents[1])
    script = (
        f"import sys; sys.path.insert(0, {where!r}); import translator; sys.path.append(sys.path.pop(0)); "
    )
    return [sys.executable, "-P", "-c", script + "from translator.worker import main; main()"]


class WorkerProcess:
    """A process running `command`, whose first word is the path of its program."""

    def __init__(self, routine: int, command: list[str]) -> None:
        """`routine`: host address of ROUTINE. OSError if the host has no room for another process."""
        child_input, to_child = map(out_of_the_way, os.pipe())
        from_child, child_output = map(out_of_the_way, os.pipe())
        self._errors = out_of_the_way(os.memfd_create("worker errors"))
        try:
            self.pid: Final = _start(routine, command, child_input, child_output, self._errors)
            """Its process number."""
        except OSError:
            for descriptor in (to_child, from_child, self._errors):
                close_own(descriptor)
            raise
        finally:
            close_own(child_input)
            close_own(child_output)
        self.stdin: Final[BinaryIO] = os.fdopen(to_child, "wb", closefd=False)
        self.stdout: Final[BinaryIO] = os.fdopen(from_child, "rb", closefd=False)
        try:
            self._process = out_of_the_way(os.pidfd_open(self.pid))
        except ProcessLookupError:
            self._process = _ENDED

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process == _ENDED or self._ends_within(0)

    def processor_seconds(self) -> float:
        """User and system time that it has used so far; 0 if it is gone."""
        if self.has_ended():
            return 0.0
        try:
            return time.clock_gettime(~self.pid << _CLOCK_ID_SHIFT | _CLOCK_OF_PROCESS)
        except OSError:  # it has just gone, or is not known by its number any more
            return 0.0

    def kill(self) -> None:
        """End the process, unless it has ended already."""
        if self.has_ended():
            return
        try:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        except PermissionError:  # the guest has changed our user: the end of its input ends it as well
            close_own(self.stdin.fileno())

    def wait(self) -> None:
        """Wait for its end; the pipes can still be read and written, in vain."""
        if self._process != _ENDED:
            self._ends_within(None)

    def last_words(self) -> str:
        """The last line that it wrote on its standard error, which nobody else sees."""
        size = os.fstat(self._errors).st_size
        written = os.pread(self._errors, _LAST_WORDS, max(size - _LAST_WORDS, 0))
        return (written.decode(errors="replace").strip().splitlines() or [""])[-1]

    def _ends_within(self, milliseconds: int | None) -> bool:
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def close(self) -> None:
        """When nobody uses the process any more."""
        for descriptor in (self.stdin.fileno(), self.stdout.fileno(), self._errors, self._process):
            if descriptor in own_descriptors:
                close_own(descriptor)
        self._process = _ENDED


def _start(routine: int, command: list[str], child_input: int, child_output: int, child_errors: int) -> int:
    arguments = [os.fsencode(word) for word in command]
    environment = [name + b"=" + value for name, value in os.environb.items()]
    stacks = ctypes.create_string_buffer(2 * _STACK_SIZE)
    top = ctypes.addressof(stacks) + 2 * _STACK_SIZE & -16
    no_signals = ctypes.create_string_buffer(_SIGNAL_SET_SIZE)
    argument_array = (ctypes.c_char_p * (len(arguments) + 1))(*arguments)
    environment_array = (ctypes.c_char_p * (len(environment) + 1))(*environment)
    values = {
        "stack": top - _STACK_SIZE,
        "pid": 0,
        "no_signals": ctypes.addressof(no_signals),
        "input": child_input,
        "output": child_output,
        "errors": child_errors,
        "path": ctypes.cast(argument_array, ctypes.POINTER(ctypes.c_void_p))[0],
        "arguments": ctypes.addressof(argument_array),
        "environment": ctypes.addressof(environment_array),
    }
    table = (ctypes.c_uint64 * (len(_FUNCTIONS) + len(_ARGUMENTS)))(
        *map(function_address, _FUNCTIONS), *(values[name] for name in _ARGUMENTS)
    )
    before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        intermediate = _libc.clone(routine, top, _AS_VFORK, ctypes.addressof(table))
        number = ctypes.get_errno()
        if intermediate > 0:
            os.waitpid(intermediate, _WALL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    pid = ctypes.c_int64(table[-1]).value
    if pid <= 0:
        raise OSError(number or errno.EAGAIN, "no process for the compile worker could be started")
    return pid
