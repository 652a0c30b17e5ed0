"""Running one benchmark command: times, exit status, output, time-out."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass

from dbt_disco.benchmark.engines import Engine
from dbt_disco.benchmark.measurement import measure
from dbt_disco.benchmark.program_table import Program

HELLO = Program(
    "hello", "integer", {"tiny": 1}, {"tiny": hashlib.sha256(b"hello\n").hexdigest()}, {"tiny": 10}
)


@dataclass
class Script(Engine):
    """An engine that is a piece of Python."""

    text: str = ""

    def command(self, program: Program, scale: str) -> list[str]:
        return [sys.executable, "-c", self.text]


def test_success() -> None:
    run = measure(Script("script", "script", text="print('hello')"), HELLO, "tiny", timeout=60, cold=False)
    assert run.failure == ""
    assert run.processor_seconds > 0
    assert 0 < run.seconds < 60
    assert run.resident_kib > 1000


def test_wrong_output() -> None:
    run = measure(Script("script", "script", text="print('hullo')"), HELLO, "tiny", timeout=60, cold=False)
    assert run.failure == "printed something else than expected"


def test_failure_quotes_the_last_words() -> None:
    text = "import sys; print('hello'); print('first\\nno such thing', file=sys.stderr); sys.exit(3)"
    run = measure(Script("script", "script", text=text), HELLO, "tiny", timeout=60, cold=False)
    assert run.failure == "ended with status 3: no such thing"


def test_timeout() -> None:
    text = "import time; time.sleep(60)"
    run = measure(Script("script", "script", text=text), HELLO, "tiny", timeout=0.3, cold=False)
    assert run.failure.startswith("took longer than")
    assert run.seconds < 30


def test_cold_means_an_empty_cache_directory() -> None:
    text = """if 1:
        import os
        cache = os.environ["XDG_CACHE_HOME"]
        print("hullo" if os.path.exists(cache + "/mark") else "hello")
        open(cache + "/mark", "w")"""
    engine = Script("script", "script", text=text)
    for _ in range(2):
        assert measure(engine, HELLO, "tiny", timeout=60, cold=True).failure == ""
