"""Processes whose console is watched: their words, their times, their ends."""

from __future__ import annotations

import os
import sys
import time

import pytest

from dbt_disco.benchmark.scenarios.guest_process import GuestError, GuestProcess

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
ORPHAN = """
import os, subprocess, sys
if os.fork() == 0:  # what it starts, it leaves behind
    subprocess.Popen([sys.executable, '-c', {burn!r}])
    os._exit(0)
os.wait()
print('ready', flush=True)
input()
"""


def script(text: str, timeout: float = 60) -> GuestProcess:
    return GuestProcess([sys.executable, "-c", text], timeout=timeout)


def test_a_conversation() -> None:
    with script("print('# ', end='', flush=True); print(input().upper())") as guest:
        before = guest.wait_for("# ")
        guest.send("hello\n")
        after = guest.wait_for("HELLO")
        end = guest.join()
    assert 0 < before.seconds < after.seconds < end.seconds
    assert end.processor_seconds > 0
    assert guest.output == b"# HELLO\n"


def test_what_has_been_waited_for_is_not_found_again() -> None:
    with script("print('one two one')") as guest:
        guest.wait_for("one")
        guest.wait_for("one")
        with pytest.raises(GuestError, match=r"ended without 'one'.*one two one"):
            guest.wait_for("one")


def test_variables_are_added_to_the_environment() -> None:
    text = "import os; print(os.environ['ADDED'], 'PATH' in os.environ)"
    with GuestProcess([sys.executable, "-c", text], {"ADDED": "yes"}, timeout=60) as guest:
        guest.wait_for("yes True")
        guest.join()


def test_failure_quotes_the_last_words() -> None:
    with (
        script("import sys; print('console'); sys.exit('no such kernel')") as guest,
        pytest.raises(GuestError, match="ended with status 1: its last words: no such kernel"),
    ):
        guest.join()


def test_timeout() -> None:
    with (
        script("print('half', flush=True); input()", timeout=1) as guest,
        pytest.raises(GuestError, match=r"took longer than 1 s.*half"),
    ):
        guest.wait_for("whole")


def test_sending_to_one_that_listens_no_more() -> None:
    text = "import os, time; os.close(0); print('last', flush=True); time.sleep(60)"
    with script(text) as guest:
        guest.wait_for("last")
        with pytest.raises(GuestError, match="takes no input any more: its last words: last"):
            guest.send("hello\n")


def test_nothing_is_left_behind() -> None:
    with script("import os; print(os.fork(), end=' ', flush=True); input()") as guest:
        guest.wait_for(" ")
        processes = [process.pid for process in guest.processes()]
        assert len(processes) == 2
    for pid in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_processor_time_of_orphans_counts() -> None:
    """Our compile worker is one: whoever starts it leaves it to whoever adopts."""
    with script(ORPHAN.format(burn=BURN.format(seconds=0.5))) as guest:
        ready = guest.wait_for("ready")
        deadline = time.monotonic() + 60
        while (later := guest.moment() - ready).processor_seconds < 0.3:
            assert time.monotonic() < deadline, later
            time.sleep(0.05)
        guest.send("\n")
        assert guest.join().processor_seconds >= 0.5
