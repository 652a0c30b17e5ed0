"""Running the command as a user does: in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
HELLO = REPOSITORY / "dbt_disco" / "embedded" / "mipsel" / "hello"
HELLO_BIG_ENDIAN = REPOSITORY / "dbt_disco" / "embedded" / "mips" / "hello"
QUEENS = REPOSITORY / "guests" / "prebuilt" / "mipsel" / "bench" / "queens"


@dataclass(frozen=True)
class Done:
    """What is seen of a command that has ended."""

    status: int
    output: str
    errors: str

    def error_line(self) -> str:
        """The one line on standard error; fails if there is not exactly one, or if it is a traceback."""
        lines = self.errors.splitlines()
        assert len(lines) == 1, self.errors
        assert lines[0].startswith("dbt-disco: ")
        return lines[0].removeprefix("dbt-disco: ")


def launcher(*words: object) -> list[str]:
    """The words that run `dbt-disco` with these arguments."""
    return [sys.executable, "-m", "dbt_disco", *map(str, words)]


def command(*words: object, **options: Any) -> Done:
    """Run `dbt-disco` in the repository; `options` as for `subprocess.run`."""
    done = subprocess.run(
        launcher(*words),
        **{"cwd": REPOSITORY, "capture_output": True, "text": True, "timeout": 120, **options},
    )
    return Done(done.returncode, done.stdout, done.stderr)
