"""A monitor's or an emulator's process, with the guest's console on a pipe: what it prints, and when."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

_CHUNK: Final = 1 << 16
_PR_SET_CHILD_SUBREAPER: Final = 36
_MACHINE_MEMORY: Final = "/memfd:dbt-disco-memory"
"""How the paths of its mappings begin."""
_PATIENCE: Final = 10
"""Seconds that a process may take to end when it has closed its output."""


class GuestError(Exception):
    """A guest has not done what it should; one line."""


@dataclass(frozen=True)
class Moment:
    """A point in the life of a process."""

    seconds: float
    """Wall-clock time since it was started."""
    processor_seconds: float
    """User and system time since then, of the process and all that it has started; in steps of ten milliseconds."""

    def __sub__(self, earlier: Moment) -> Moment:
        """The time from an earlier moment to this one."""
        return Moment(self.seconds - earlier.seconds, self.processor_seconds - earlier.processor_seconds)


class GuestProcess:
    """Started by its making; leaving the context ends the process, and what it has started, if they still run.

    It leads a session of its own, by which the others are known. Our compile worker is no child of the process that
    starts it: orphans become children of this process here, so that their processor time can be had, too.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, *, timeout: float
    ) -> None:
        """`environment` is added to ours; `timeout`: seconds that the guest may take altogether."""
        _adopt_orphans(True)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.output = b""
        """All that the console has shown."""
        self.passed = ""
        """What it had shown in front of the text that was last waited for."""
        self._read_to = 0
        self._timeout: Final = timeout
        self._started: Final = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )

    def __enter__(self) -> GuestProcess:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()
        _adopt_orphans(False)
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file is not None:
                with contextlib.suppress(BrokenPipeError):
                    file.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def moment(self) -> Moment:
        """Now."""
        seconds = time.perf_counter() - self._started
        return Moment(seconds, sum(_processor_seconds(process) for process in self.processes()))

    def seconds_of_others(self) -> float:
        """Processor time, until now, of the processes that the process has started: the compile worker's."""
        return sum(_processor_seconds(process) for process in self.processes() if process.pid != self.pid)

    def processes(self) -> Iterator[psutil.Process]:
        """The process and those it has started."""
        import psutil

        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(process.pid) == self._process.pid:
                    yield process

    def private_memory(self) -> int:
        """Bytes of memory that the process has for itself (USS), without those it has started. Machine memory that
        windows show a second time, so that the host's kernel takes it to be shared, counts once.
        """
        import psutil

        private = 0
        for mapping in psutil.Process(self._process.pid).memory_maps(grouped=False):
            if mapping.path.startswith(_MACHINE_MEMORY):
                private += mapping.pss
            else:
                private += mapping.private_clean + mapping.private_dirty
        return private

    def errors(self) -> str:
        """What has been written to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def send(self, text: str) -> None:
        """Type something on the console."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise GuestError(f"takes no input any more: {self._last_words()}") from None

    def wait_for(self, text: str) -> Moment:
        """When the console has shown `text`, from where the last call found what it waited for.

        Raises GuestError if the time is over or the guest's console has been closed.
        """
        wanted = text.encode()
        while (found := self.output.find(wanted, self._read_to)) < 0:
            if not self._read():
                raise GuestError(f"ended without {text!r}: {self._last_words()}")
        self.passed = self.output[self._read_to : found].decode(errors="replace")
        self._read_to = found + len(wanted)
        return self.moment()

    def join(self) -> Moment:
        """Wait for the end of the process, which must be a good one; all of its time, and its children's."""
        while self._read():
            pass
        alarm = threading.Timer(_PATIENCE, os.killpg, (self._process.pid, signal.SIGKILL))
        alarm.start()
        processor_seconds = self._reap()
        alarm.cancel()
        if self._process.returncode != 0:
            raise GuestError(f"ended with status {self._process.returncode}: {self._last_words()}")
        return Moment(time.perf_counter() - self._started, processor_seconds)

    def _reap(self) -> float:
        """Wait for the end of the process and of all that it has started; the processor time of all that ended here."""
        processor_seconds = 0.0
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-self._process.pid, 0)
                processor_seconds += usage.ru_utime + usage.ru_stime
                if pid == self._process.pid:
                    self._process.returncode = os.waitstatus_to_exitcode(status)
        return processor_seconds

    def _read(self) -> bool:
        """Take in what the console shows next; False if it has been closed. GuestError when the time is over."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        left = self._started + self._timeout - time.perf_counter()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise GuestError(f"took longer than {self._timeout:g} s; {self._last_words()}")
        data = os.read(descriptor, _CHUNK)
        self.output += data
        return bool(data)

    def _last_words(self) -> str:
        """The last line on standard error, or else of the console."""
        for text in (self.errors(), self.output.decode(errors="replace")):
            lines = text.strip().splitlines()
            if lines:
                return f"its last words: {lines[-1].strip()}"
        return "it has said nothing"


def _adopt_orphans(adopts: bool) -> None:
    """Whether this process is to be the parent of whatever its children leave behind (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(adopts), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")


def _processor_seconds(process: psutil.Process) -> float:
    """Of a process and of those it has waited for."""
    import psutil

    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return float(times.user + times.system + times.children_user + times.children_system)
