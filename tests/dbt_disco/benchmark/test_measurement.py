"""Running one benchmark command: times, exit status, output, time-out."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

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
    run = measure(Script("script", "script", text="print('hello')"), HELLO, "tiny", timeout=60, cache=None)
    assert run.failure == ""
    assert run.processor_seconds > 0
    assert 0 < run.seconds < 60
    assert run.resident_kib > 1000


def test_wrong_output() -> None:
    run = measure(Script("script", "script", text="print('hullo')"), HELLO, "tiny", timeout=60, cache=None)
    assert run.failure == "printed something else than expected"


def test_failure_quotes_the_last_words() -> None:
    text = "import sys; print('hello'); print('first\\nno such thing', file=sys.stderr); sys.exit(3)"
    run = measure(Script("script", "script", text=text), HELLO, "tiny", timeout=60, cache=None)
    assert run.failure == "ended with status 3: no such thing"


def test_timeout() -> None:
    text = "import time; time.sleep(60)"
    run = measure(Script("script", "script", text=text), HELLO, "tiny", timeout=0.3, cache=None)
    assert run.failure.startswith("took longer than")
    assert run.seconds < 30


def test_the_cache_given_is_the_programs_own(tmp_path: Path) -> None:
    text = "import os; print('hello'); open(os.environ['XDG_CACHE_HOME'] + '/mark', 'w')"
    assert (
        measure(Script("script", "script", text=text), HELLO, "tiny", timeout=60, cache=tmp_path).failure
        == ""
    )
    assert (tmp_path / "mark").exists()
