"""The main process's side of the compile worker: a thread that feeds it and collects what it compiles.

The worker is started when something is hot for the first time. If it dies, a new one tries the same request
cautiously; what that one dies of as well stays in tier 0. Workers that die without having done anything are
started a few times.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from runtime.worker_process import WorkerProcess, worker_command
from translator.translation import Translation
from translator.worker_messages import Extent, receive, send

_MAX_VAIN_STARTS: Final = 4


class GuestCode(Protocol):
    """Where the worker's questions about guest code are answered."""

    @property
    def scope(self) -> int:
        """Which address space it is: the same address in another one is another place."""

    def code_page(self, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        """Of an executable page: bytes, 1,024 counters (u32), is it writable, 1,024 flags "a region's entry"."""

    def heat(self, pc: int) -> int:
        """How often a taken branch went to `pc`."""


class _Request(NamedTuple):
    seed: int
    flags: tuple[bool, ...]
    extent: Extent
    code: GuestCode
    is_first_try: bool = True


class TranslatorFailed(Exception):
    """The translator raised; the text is its traceback."""


class CompileService:
    """Translates hot addresses in another process; the hottest first, and none that has become part of a region.

    Only `request`, `take` and `forget_covered` are for the vCPU's thread.
    """

    def __init__(
        self,
        code: GuestCode,
        on_ready: Callable[[], None],
        start_process: Callable[[list[str]], WorkerProcess],
    ) -> None:
        self._start_process = start_process
        self._code = code
        self._on_ready = on_ready
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._waiting: list[_Request] = []
        self._ready: queue.SimpleQueue[tuple[int, Translation | None]] = queue.SimpleQueue()
        self._covered: set[tuple[int, int]] = set()
        self._thread: threading.Thread | None = None
        self._worker: WorkerProcess | None = None
        self._vain_starts = 0
        """Workers started since one did its work."""
        self._closing = False
        self.failures: list[str] = []
        """What went wrong in the worker, for `--stats`."""

    def start(self) -> None:
        """Start thread and worker, if they have not been started yet."""
        if self._thread is None:
            with suppress(OSError):  # the thread tries again, and reports it
                self._started_worker()  # here, where the guest does not run and sees no pipe being made
            self._thread = threading.Thread(target=self._serve, name="compile", daemon=True)
            self._thread.start()

    def request(
        self, seed: int, flags: tuple[bool, ...], extent: Extent, code: GuestCode | None = None
    ) -> None:
        """Have the region at `seed` translated; `take` gives the result some time later.

        `code`: where it is, if not in the code that the service was made for. A PROFILED one is left out if the
        address lies within a region by then.
        """
        self.start()
        self._requests.put(_Request(seed, flags, extent, code or self._code))

    @property
    def is_dead(self) -> bool:
        """Whether the worker has died so often that there will be no other."""
        return self._vain_starts == _MAX_VAIN_STARTS and self._worker is None

    def forget_covered(self) -> None:
        """Regions have been dropped."""
        self._covered = set()

    def take(self) -> list[tuple[int, Translation | None]]:
        """(seed, translation) of all requests finished since the last call.

        None: there was nothing to translate, it was part of a region already, or the worker died of it.
        """
        results = []
        while True:
            try:
                results.append(self._ready.get_nowait())
            except queue.Empty:
                return results

    def translate(
        self, seed: int, flags: tuple[bool, ...], extent: Extent, code: GuestCode | None = None
    ) -> Translation | None:
        """Request and wait."""
        self.request(seed, flags, extent, code)
        _, translation = self._ready.get()
        return translation

    def close(self) -> None:
        """End the worker, also in the middle of its work."""
        self._closing = True
        self._requests.put(None)
        worker = self._worker
        if worker is not None:
            worker.kill()
            worker.wait()
        if self._thread is not None:
            self._thread.join()
        if worker is not None:
            worker.close()

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGSEGV, signal.SIGBUS})
        while (request := self._next_request()) is not None:
            translation = None
            try:
                if (
                    request.extent is not Extent.PROFILED
                    or (request.code.scope, request.seed) not in self._covered
                ):
                    translation = self._translate(request)
            except (OSError, EOFError, ValueError, TypeError) as error:
                if self._closing:
                    return
                reason = self._drop_worker() or str(error) or type(error).__name__
                if request.is_first_try:  # perhaps it was not this request that killed it
                    self._waiting.append(request._replace(is_first_try=False))
                    continue
                self.failures.append(f"the compile worker died of the region at {request.seed:#x}: {reason}")
            except TranslatorFailed as error:
                self.failures.append(str(error))
            if translation is not None:
                self._covered.update((request.code.scope, block) for block in translation.blocks)
            self._ready.put((request.seed, translation))
            self._on_ready()

    def _next_request(self) -> _Request | None:
        """The hottest of those waiting; None: the service is to end."""
        while not self._waiting or not self._requests.empty():
            request = self._requests.get()
            if request is None:
                return None
            self._waiting.append(request)
        hottest = max(self._waiting, key=lambda request: request.code.heat(request.seed))
        self._waiting.remove(hottest)
        return hottest

    def _translate(self, request: _Request) -> Translation | None:
        worker = self._started_worker()
        if worker is None:
            return None
        cautious = not request.is_first_try
        send(worker.stdin, ("translate", cautious, request.seed, request.flags, int(request.extent)))
        while True:
            kind, content = receive(worker.stdout)
            if kind == "page":
                send(worker.stdin, request.code.code_page(content))
                continue
            self._vain_starts = 0
            if kind == "failed":
                raise TranslatorFailed(content)
            return Translation.from_bytes(content) if content is not None else None

    def _started_worker(self) -> WorkerProcess | None:
        if self._worker is not None and self._worker.has_ended():
            self._drop_worker()
        if self._worker is None:
            if self._vain_starts == _MAX_VAIN_STARTS:
                return None
            self._vain_starts += 1
            self._worker = self._start_process(worker_command())
        return self._worker

    def _drop_worker(self) -> str:
        """End it; its last words."""
        if self._worker is None:
            return ""
        self._worker.kill()
        self._worker.wait()
        words = self._worker.last_words()
        self._worker.close()
        self._worker = None
        return words
