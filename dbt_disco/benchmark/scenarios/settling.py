"""Waiting for idle guests to be all there is: nothing runs, and nothing is compiled any more."""

from __future__ import annotations

import time
from typing import Final

from dbt_disco.benchmark.scenarios.guest_process import GuestProcess

QUIET: Final = 12
"""Seconds without anything else: code that only ticks run gets hot late, and once."""
_SETTLED: Final = 0.1
"""Part of a processor for each guest, below which it is idle."""
_LIMIT: Final = 120.0


def settle(process: GuestProcess, guests: int = 1, quiet: int = QUIET) -> None:
    """Wait until the guests of a process have been idle for `quiet` seconds, without work of the compile worker; two
    minutes at most."""
    deadline = time.monotonic() + _LIMIT
    last, compiled, passed = process.moment(), process.seconds_of_others(), 0
    while passed < quiet and time.monotonic() < deadline:
        time.sleep(1)
        now, compiled_now = process.moment(), process.seconds_of_others()
        is_quiet = (now - last).processor_seconds < _SETTLED * guests and compiled_now == compiled
        passed = passed + 1 if is_quiet else 0
        last, compiled = now, compiled_now
