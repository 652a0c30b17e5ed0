"""Run one command and take its time; check what it prints."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dbt_disco.benchmark.engines import Engine
from dbt_disco.benchmark.program_table import Program
from dbt_disco.scratch_directory import ScratchDirectory


@dataclass(frozen=True)
class Run:
    """One finished run of a program under an engine."""

    seconds: float
    """Wall-clock time of the whole process, start-up and compilation included."""
    processor_seconds: float
    """User and system time of the process and the processes it waited for."""
    resident_kib: int
    """Largest resident set, in KiB."""
    failure: str
    """What was wrong with the run; empty if nothing was."""


def measure(engine: Engine, program: Program, scale: str, timeout: float, cache: Path | None) -> Run:
    """Run a program once. `cache`: $XDG_CACHE_HOME for it, if not the user's own.

    A run that takes longer than `timeout` seconds is ended and counts as failed.
    """
    with (
        ScratchDirectory("dbt-disco-bench-") as scratch,
        tempfile.TemporaryFile() as output,
    ):
        environment = os.environ | engine.environment
        if cache is not None:
            environment["XDG_CACHE_HOME"] = str(cache)
        with open(Path(scratch, "errors"), "w+b") as errors:
            start = time.perf_counter()
            process = subprocess.Popen(
                engine.command(program, scale),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=environment,
            )
            alarm = threading.Timer(timeout, process.kill)
            alarm.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:  # Ctrl-C: nobody waits for the process any more
                process.kill()
                raise
            finally:
                alarm.cancel()
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            last_words = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        output.seek(0)
        digest = hashlib.sha256(output.read()).hexdigest()
        failure = ""
        if seconds >= timeout:
            failure = f"took longer than {timeout:.0f} s"
        elif process.returncode != 0:
            failure = f"ended with status {process.returncode}: {' '.join(last_words)}"
        elif digest != program.outputs[scale]:
            failure = "printed something else than expected"
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, failure)
