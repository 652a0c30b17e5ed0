"""Compiling for a listing, in the compile worker: LLVM may end the process that it works in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from runtime.worker_process import WorkerProcess, worker_command
from translator.worker_messages import receive, send


class Compiled(NamedTuple):
    """What came of a region's IR."""

    optimised_ir: str
    assembly: str


class CompilationFailed(Exception):
    """LLVM cannot compile a region; the text says why."""


class ListingCompiler:
    """Compiles one region after the other. What a worker dies of is tried once more with caution, as in a run."""

    def __init__(self, start_process: Callable[[list[str]], WorkerProcess]) -> None:
        self._start_process = start_process
        self._worker: WorkerProcess | None = None

    def compile(self, ir: str) -> Compiled:
        """Optimise and generate code. CompilationFailed if that ends two workers."""
        try:
            return self._compile(ir, cautious=False)
        except CompilationFailed:
            return self._compile(ir, cautious=True)

    def close(self) -> str:
        """End the worker; its last words."""
        worker, self._worker = self._worker, None
        if worker is None:
            return ""
        worker.kill()
        worker.wait()
        words = worker.last_words()
        worker.close()
        return words

    def _compile(self, ir: str, *, cautious: bool) -> Compiled:
        if self._worker is None:
            self._worker = self._start_process(worker_command())
        try:
            send(self._worker.stdin, ("list", cautious, ir))
            kind, content = receive(self._worker.stdout)
        except (OSError, EOFError) as error:
            raise CompilationFailed(self.close() or str(error) or type(error).__name__) from None
        if kind == "failed":  # a bug of ours
            raise RuntimeError(content)
        return Compiled(*content)
