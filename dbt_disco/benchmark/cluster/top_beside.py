"""What it costs a cluster that somebody watches it with `dbt-disco top`."""

from __future__ import annotations

import math
import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from dbt_disco.benchmark.cluster.busy_machines import MACHINES, BusyMachines
from dbt_disco.benchmark.engines import own_environment
from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.scenario import OWN, Figure, Step, Target

_TARGET: Final = Target(2)
_WITH: Final = "with top"
_WITHOUT: Final = "without"
_SECONDS: Final = 8.0
"""Of work: `top` looks every two."""
_CHUNK: Final = 1 << 16
_PATIENCE: Final = 30
_PAUSE: Final = 1.0
"""Seconds without output after which it has started: to import and lay out a screen takes as long as to look at a
cluster for a minute, once.
"""


class TopBeside(BusyMachines):
    """Two virtual machines compute meanwhile; `top` has started on a terminal, and looks at its default interval."""

    key = "top"

    def first_steps(self) -> list[Step]:
        """Have the program translated, and find out how often it has to run."""
        return [Step("beside top: begin", self._begin)]

    def repeat(self) -> list[Step]:
        """With and without."""
        return [Step("beside top: without", self._without), Step("beside top: with", self._with)]

    def figures(self) -> list[Figure]:
        """What the same work takes more."""
        medians = self.taken(OWN).medians()
        more = processor = None
        if _WITH in medians and _WITHOUT in medians:
            a, b = medians[_WITH], medians[_WITHOUT]
            more = 100 * (a.seconds / b.seconds - 1)
            processor = 100 * (a.processor_seconds / b.processor_seconds - 1)
        return [Figure("beside dbt-disco top the same work takes more", more, "%", _TARGET, processor)]

    def _begin(self) -> None:
        self.start()
        once = self.execute(MACHINES)
        self._rounds = 1 if self.plan.quick else math.ceil(_SECONDS / once.seconds)

    def _without(self) -> None:
        self.taken(OWN).add(_WITHOUT, self.execute(MACHINES, self._rounds))

    def _with(self) -> None:
        with self._top():
            self.taken(OWN).add(_WITH, self.execute(MACHINES, self._rounds))

    @contextmanager
    def _top(self) -> Iterator[None]:
        """Inside, it has started, and goes on."""
        command = [sys.executable, "-m", "dbt_disco", "top", "--socket", str(self.cluster.socket)]
        ours, its = pty.openpty()
        environment = (
            os.environ | own_environment() | {"TERM": "xterm-256color", "LINES": "40", "COLUMNS": "120"}
        )
        process = subprocess.Popen(
            command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
        )
        os.close(its)
        has_started = threading.Event()

        def read() -> None:
            with suppress(OSError):  # it has ended
                while os.read(ours, _CHUNK):
                    if not select.select([ours], [], [], _PAUSE)[0]:
                        has_started.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            if not has_started.wait(_PATIENCE):
                raise GuestError("dbt-disco top shows nothing")
            yield
            if process.poll() is not None:
                raise GuestError(f"dbt-disco top has ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()
            reader.join()
            os.close(ours)
