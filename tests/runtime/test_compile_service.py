"""The compile worker's deaths, with workers that die when they are told to."""

from __future__ import annotations

import queue
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.compile_service import CompileService
from runtime.native_code import native_code
from runtime.worker_process import WorkerProcess
from translator.translation import Translation
from translator.worker_messages import Extent

WORKER = textwrap.dedent("""
    import os, sys
    from translator.worker_messages import receive, send
    DIES, DIES_AT_FIRST = 0x1000, 0x2000
    while True:
        _, cautious, seed, _, _ = receive(sys.stdin.buffer)
        if seed == DIES or seed == DIES_AT_FIRST and not cautious:
            print("something else", f"Assertion {seed:#x} failed.", sep="\\n", file=sys.stderr, flush=True)
            os.abort()
        send(sys.stdout.buffer, ("translation", None))
""")
DIES = 0x1000
DIES_AT_FIRST = 0x2000
FINE = 0x3000
WAIT = 30


class NoCode:
    """Guest code that nobody asks for."""

    scope = 0

    def code_page(self, number: int) -> None:
        return None

    def heat(self, pc: int) -> int:
        return 0


class Service:
    """A service whose workers run WORKER, and those it has started."""

    def __init__(self) -> None:
        self.started: list[WorkerProcess] = []
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.service = CompileService(NoCode(), lambda: self._done.put(None), self._start)

    def _start(self, command: list[str]) -> WorkerProcess:
        worker = native_code(False).start_process([sys.executable, "-c", WORKER])
        self.started.append(worker)
        return worker

    def translate(self, seed: int) -> list[tuple[int, Translation | None]]:
        self.service.request(seed, (), Extent.STATIC)
        self._done.get(timeout=WAIT)
        return self.service.take()


@contextmanager
def service() -> Iterator[Service]:
    made = Service()
    try:
        yield made
    finally:
        made.service.close()


def test_what_a_worker_died_of_is_tried_again_cautiously() -> None:
    with service() as made:
        assert made.translate(DIES_AT_FIRST) == [(DIES_AT_FIRST, None)]
        assert not made.service.failures
        assert len(made.started) == 2


def test_what_two_workers_died_of_is_left_and_reported_with_their_last_words() -> None:
    with service() as made:
        assert made.translate(DIES) == [(DIES, None)]
        assert made.service.failures == [
            "the compile worker died of the region at 0x1000: Assertion 0x1000 failed."
        ]
        assert made.translate(FINE) == [(FINE, None)]
        assert len(made.started) == 3
        assert not made.service.is_dead


def test_any_number_of_deaths_is_survived_while_work_is_done() -> None:
    with service() as made:
        for _ in range(10):
            made.translate(DIES_AT_FIRST)
        assert not made.service.is_dead
        assert len(made.started) == 11


def test_workers_that_do_nothing_but_die_are_not_started_for_ever() -> None:
    with service() as made:
        for _ in range(10):
            made.translate(DIES)
        assert made.service.is_dead
        assert len(made.started) == 4
