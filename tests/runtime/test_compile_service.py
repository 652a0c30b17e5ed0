"""The compile service and its clients, with workers that die, dawdle and answer as they are told to."""

from __future__ import annotations

import queue
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.compile_client import CompileClient
from runtime.compile_service import CompileService
from runtime.native_code import native_code
from runtime.worker_process import WorkerProcess
from translator.translation import Translation
from translator.worker_messages import Extent

WORKER = textwrap.dedent("""
    import os, sys
    from translator.worker_messages import receive, send
    from translator.translation import Translation
    DIES, DIES_AT_FIRST, FINE = 0x1000, 0x2000, 0x3000
    while True:
        _, cautious, seed, _, _ = receive(sys.stdin.buffer)
        if seed == DIES or seed == DIES_AT_FIRST and not cautious:
            print("something else", f"Assertion {seed:#x} failed.", sep="\\n", file=sys.stderr, flush=True)
            os.abort()
        answer = None
        if seed >= FINE:
            send(sys.stdout.buffer, ("page", seed >> 12))
            code = receive(sys.stdin.buffer)
            found = [(seed, code[0])] if code else []
            answer = Translation(seed, b"object", {}, found, [seed], 1, "", False, b"").to_bytes()
        send(sys.stdout.buffer, ("translation", answer))
""")
DIES = 0x1000
DIES_AT_FIRST = 0x2000
FINE = 0x3000
WAIT = 30


class Code:
    """Guest code of which every page is the same."""

    scope = 0

    def __init__(self, contents: bytes = b"") -> None:
        self.contents = contents
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def code_page(self, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        self.asked.set()
        assert self.may_answer.wait(WAIT)
        if self.error is not None:
            raise self.error
        return self.contents, b"", False, b""

    def heat(self, pc: int) -> int:
        return 0


class Client:
    """A client that waits for its answers."""

    def __init__(self, service: CompileService, code: Code) -> None:
        self.code = code
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.client = CompileClient(service, code, lambda: self._done.put(None))

    def translate(
        self, seed: int, name: str = "", rejected: Translation | None = None, generation: int = 0
    ) -> list[tuple[int, Translation | None]]:
        self.client.request(seed, (), Extent.STATIC, None, name, rejected, generation)
        return self.wait()

    def wait(self) -> list[tuple[int, Translation | None]]:
        self._done.get(timeout=WAIT)
        return self.client.take()


class Service:
    """A service whose workers run WORKER, those it has started, and a client."""

    def __init__(self) -> None:
        self.started: list[WorkerProcess] = []
        self.service = CompileService(self._start)
        self._client = self.client()
        self.translate = self._client.translate

    @property
    def failures(self) -> list[str]:
        return self._client.client.failures

    def client_compiled(self) -> int:
        """Translations made for the client."""
        return self._client.client.compiled

    def client(self, contents: bytes = b"") -> Client:
        return Client(self.service, Code(contents))

    def _start(self, command: list[str]) -> WorkerProcess:
        worker = native_code(False).start_process([sys.executable, "-c", WORKER])
        self.started.append(worker)
        return worker


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
        assert not made.failures
        assert len(made.started) == 2


def test_what_two_workers_died_of_is_left_and_reported_with_their_last_words() -> None:
    with service() as made:
        assert made.translate(DIES) == [(DIES, None)]
        assert made.failures == ["the compile worker died of the region at 0x1000: Assertion 0x1000 failed."]
        made.translate(FINE)
        assert len(made.started) == 3
        assert not made.service.is_dead


def test_an_error_on_this_side_is_reported_and_answered() -> None:
    """Whoever waits for the answer would wait for ever otherwise."""
    with service() as made:
        faulty = made.client()
        faulty.code.error = KeyError("page")
        assert faulty.translate(FINE) == [(FINE, None)]
        assert "KeyError: 'page'" in faulty.client.failures[0]
        assert made.translate(FINE) != [(FINE, None)]


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


def test_what_was_translated_for_one_serves_another() -> None:
    with service() as made:
        one, other = made.client(b"code"), made.client(b"code")
        ((_, first),) = one.translate(FINE, "name")
        ((_, second),) = other.translate(FINE, "name")
        assert first is not None and second is first
        assert made.service.recall("name") is first
        assert (one.client.compiled, other.client.compiled) == (1, 0)
        assert not other.code.asked.is_set()


def test_what_is_of_other_code_is_translated_anew() -> None:
    with service() as made:
        one, other = made.client(b"code"), made.client(b"other code")
        ((_, wrong),) = one.translate(FINE, "name")
        ((_, right),) = other.translate(FINE, "name", wrong)
        assert right is not None and right.code == [(FINE, b"other code")]
        assert other.client.compiled == 1


def test_a_client_that_is_closed_gets_nothing_and_is_asked_nothing() -> None:
    with service() as made:
        going, staying = made.client(), made.client(b"code")
        staying.code.may_answer.clear()
        staying.client.request(FINE, (), Extent.STATIC)
        assert staying.code.asked.wait(WAIT)
        going.client.request(FINE + 0x1000, (), Extent.STATIC)
        going.client.close()
        staying.code.may_answer.set()
        assert len(staying.wait()) == 1
        assert len(staying.translate(FINE + 0x2000)) == 1
        assert not going.code.asked.is_set() and not going.client.take()


def test_closing_waits_until_nobody_looks_at_the_memory() -> None:
    with service() as made:
        client = made.client(b"code")
        client.code.may_answer.clear()
        client.client.request(FINE, (), Extent.STATIC)
        assert client.code.asked.wait(WAIT)
        closing = threading.Thread(target=client.client.close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        client.code.may_answer.set()
        closing.join(WAIT)
        assert not closing.is_alive()


def test_what_is_to_be_translated_once_more_is_not_answered_with_what_there_is() -> None:
    """Nor with what another one has had translated often enough: that serves both."""
    with service() as made:
        other = made.client()
        [(_, plain)] = made.translate(FINE, "name")
        assert plain is not None and plain.generation == 0
        assert other.translate(FINE, "name") == [(FINE, plain)]
        [(_, larger)] = made.translate(FINE, "name", plain, 1)
        assert larger is not None and larger.generation == 1
        assert made.client_compiled() == 2
        assert other.translate(FINE, "name", plain, 1) == [(FINE, larger)]
        assert other.client.compiled == 0
        [(_, largest)] = made.translate(FINE, "name", larger, 2)
        assert largest is not None and largest.generation == 2
        assert made.client_compiled() == 3
