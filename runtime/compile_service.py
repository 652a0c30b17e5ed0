"""The main process's side of the compile worker: a thread that feeds it, for one vCPU or for many.

The worker is started when something is hot for the first time, or before. If it dies, a new one tries the same request
cautiously; what that one dies of as well stays in tier 0. Workers that die without having done anything are
started a few times. What has been translated for one vCPU serves the others.
"""

from __future__ import annotations

import queue
import signal
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from runtime.compile_client import CompileRequest
from runtime.worker_process import WorkerProcess, worker_command
from translator.translation import Translation
from translator.worker_messages import receive, send

_MAX_VAIN_STARTS: Final = 4
_MOST_REMEMBERED: Final = 4096
"""Translations."""


class TranslatorFailed(Exception):
    """The translator raised; the text is its traceback."""


class CompileService:
    """Translates hot addresses in another process; the hottest first, and none that has become part of a region.

    What vCPUs want of it they ask through a `CompileClient` each.
    """

    def __init__(self, start_process: Callable[[list[str]], WorkerProcess]) -> None:
        self._start_process = start_process
        self._requests: queue.SimpleQueue[CompileRequest | None] = queue.SimpleQueue()
        self._waiting: list[CompileRequest] = []
        self._remembered: OrderedDict[str, Translation] = OrderedDict()
        self._starting: Final = threading.Lock()
        self._thread: threading.Thread | None = None
        self._worker: WorkerProcess | None = None
        self._vain_starts = 0
        """Workers started since one did its work."""
        self._gone_worker_seconds = 0.0
        """Processor time of the workers that have gone."""
        self._closing = False

    # On any vCPU's thread.

    def start(self) -> None:
        """Start thread and worker, if they have not been started yet."""
        with self._starting:
            if self._thread is None:
                with suppress(OSError):  # the thread tries again, and reports it
                    self._started_worker()  # here, where the guest does not run and sees no pipe being made
                self._thread = threading.Thread(target=self._serve, name="compile", daemon=True)
                self._thread.start()

    def put(self, request: CompileRequest) -> None:
        """Have a request answered some time."""
        self.start()
        self._requests.put(request)

    def recall(self, name: str) -> Translation | None:
        """What has been translated, for anybody, under a name."""
        return self._remembered.get(name)

    @property
    def remembered(self) -> int:
        """How many translations are remembered."""
        return len(self._remembered)

    @property
    def worker_seconds(self) -> float:
        """Processor time of the workers until now; that of one which died by itself is not known."""
        worker = self._worker
        return self._gone_worker_seconds + (worker.processor_seconds() if worker is not None else 0)

    @property
    def is_dead(self) -> bool:
        """Whether the worker has died so often that there will be no other."""
        return self._vain_starts == _MAX_VAIN_STARTS and self._worker is None

    def close(self) -> None:
        """End the worker, also in the middle of its work."""
        self._closing = True
        self._requests.put(None)
        worker = self._worker
        if worker is not None:
            self._gone_worker_seconds += worker.processor_seconds()
            worker.kill()
            worker.wait()
        if self._thread is not None:
            self._thread.join()
        if worker is not None:
            worker.close()

    # The thread.

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGSEGV, signal.SIGBUS})
        while (request := self._next_request()) is not None:
            translation = None
            try:
                if not request.client.is_covered(request):
                    translation = self._known(request) or self._translate(request)
            except (OSError, EOFError, ValueError, TypeError) as error:
                if self._closing:
                    return
                reason = self._drop_worker() or str(error) or type(error).__name__
                if request.is_first_try:  # perhaps it was not this request that killed it
                    self._waiting.append(request._replace(is_first_try=False))
                    continue
                died = f"the compile worker died of the region at {request.seed:#x}: {reason}"
                request.client.failures.append(died)
            except TranslatorFailed as error:
                request.client.failures.append(str(error))
            except Exception:  # a bug on this side: whoever waits for the answer must not wait for ever
                if self._closing:
                    return
                self._drop_worker()
                self._vain_starts = 0  # it is not the worker's fault
                request.client.failures.append(traceback.format_exc())
            request.client.deliver(request, translation)

    def _next_request(self) -> CompileRequest | None:
        """The hottest of those waiting; None: the service is to end."""
        while True:
            while not self._waiting or not self._requests.empty():
                request = self._requests.get()
                if request is None:
                    return None
                self._waiting.append(request)
            self._waiting = [request for request in self._waiting if not request.client.is_closed]
            if self._waiting:
                hottest = max(self._waiting, key=lambda request: request.client.heat(request))
                self._waiting.remove(hottest)
                return hottest

    def _known(self, request: CompileRequest) -> Translation | None:
        """What somebody else has had translated meanwhile, if it is not what the client has found to be wrong."""
        known, rejected = self._remembered.get(request.name), request.rejected
        if known is None or known.generation < request.generation:
            return None
        is_rejected = rejected is not None and (known.code, known.generation) == (
            rejected.code,
            rejected.generation,
        )
        return None if is_rejected else known

    def _translate(self, request: CompileRequest) -> Translation | None:
        worker = self._started_worker()
        if worker is None:
            return None
        cautious = not request.is_first_try
        send(worker.stdin, ("translate", cautious, request.seed, request.flags, int(request.extent)))
        while True:
            kind, content = receive(worker.stdout)
            if kind == "page":
                send(worker.stdin, request.client.code_page(request, content))
                continue
            self._vain_starts = 0
            if kind == "failed":
                raise TranslatorFailed(content)
            if content is None:
                return None
            translation = replace(Translation.from_bytes(content), generation=request.generation)
            request.client.compiled += 1
            if request.name:
                self._remember(request.name, translation)
            return translation

    def _remember(self, name: str, translation: Translation) -> None:
        self._remembered[name] = translation
        self._remembered.move_to_end(name)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)

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
        self._gone_worker_seconds += self._worker.processor_seconds()
        self._worker.kill()
        self._worker.wait()
        words = self._worker.last_words()
        self._worker.close()
        self._worker = None
        return words
