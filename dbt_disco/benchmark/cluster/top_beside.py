"""What it costs a cluster that somebody watches it with `dbt-disco top`."""

from __future__ import annotations

import math
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from statistics import median
from typing import Final

from dbt_disco.benchmark.cluster.busy_machines import MACHINES, BusyMachines
from dbt_disco.benchmark.engines import own_environment
from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.scenario import OWN, Figure, Step, Target, ratio

_TARGET: Final = Target(2)
_WITH: Final = "with top"
_WITHOUT: Final = "without"
_SECONDS: Final = 4.0
"""Of work in one turn: `top` looks every two."""
_TURNS: Final = (_WITHOUT, _WITH, _WITH, _WITHOUT, _WITH, _WITHOUT, _WITHOUT, _WITH)
"""Of one repeat: what changes steadily on the host takes as much of both."""
_CHUNK: Final = 1 << 16
_PATIENCE: Final = 30
_PAUSE: Final = 1.0
"""Seconds without output after which it has started: to import and lay out a screen takes as long as to look at a
cluster for a minute, once.
"""


class TopBeside(BusyMachines):
    """Two virtual machines compute meanwhile; `top` has started on a terminal, and looks at its default interval, or is
    stopped. Short turns, and what two neighbours take is compared: over minutes, hosts get faster and slower by more
    than is to be seen here."""

    key = "top"

    def first_steps(self) -> list[Step]:
        """Have the program translated, and find out how often it has to run."""
        return [Step("beside top: begin", self._begin)]

    def repeat(self) -> list[Step]:
        """With and without, in turn."""
        return [Step("beside top: with and without", self._take_turns)]

    def figures(self) -> list[Figure]:
        """What the same work takes more: the median of pairs of turns."""
        times = self.taken(OWN).times
        pairs = [ratio(*pair) for pair in zip(times.get(_WITH, []), times.get(_WITHOUT, []), strict=True)]
        more = _median_more([wall for wall, _ in pairs])
        processor = _median_more([processor for _, processor in pairs])
        return [Figure("beside dbt-disco top the same work takes more", more, "%", _TARGET, processor)]

    def _begin(self) -> None:
        self.start()
        once = self.execute(MACHINES)
        self._rounds = 1 if self.plan.quick else math.ceil(_SECONDS / once.seconds)

    def _take_turns(self) -> None:
        with self._top() as process:
            for turn in _TURNS:
                os.kill(process.pid, signal.SIGCONT if turn == _WITH else signal.SIGSTOP)
                self.taken(OWN).add(turn, self.execute(MACHINES, self._rounds))

    @contextmanager
    def _top(self) -> Iterator[subprocess.Popen[bytes]]:
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
            yield process
            if process.poll() is not None:
                raise GuestError(f"dbt-disco top has ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()
            reader.join()
            os.close(ours)


def _median_more(ratios: Sequence[float | None]) -> float | None:
    """Percent above 1; None if no ratio is known."""
    known = [value for value in ratios if value is not None]
    return 100 * (median(known) - 1) if known else None
