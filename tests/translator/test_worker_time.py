"""The compile worker ends itself when LLVM does not come back."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent("""
    import hashlib, time
    from translator import worker
    worker.TOO_LONG = 0.2
    with worker.TimeLimit():
        {work}
    print("came back")
""")


def run(work: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", PROGRAM.format(work=work)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_native_code_that_computes_too_long_is_ended() -> None:
    """As LLVM does, the function lets other threads run, and looks for no signal."""
    found = run("hashlib.pbkdf2_hmac('sha256', b'', b'', 1 << 30)")
    assert found == (1, "", "no end after 0.2 s")


def test_time_in_which_the_worker_only_waits_does_not_count() -> None:
    assert run("time.sleep(1)") == (0, "came back\n", "")


def test_what_ends_in_time_goes_on() -> None:
    assert run("pass; time.sleep(0)") == (0, "came back\n", "")
