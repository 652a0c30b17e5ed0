"""Waiting for idle guests."""

from __future__ import annotations

import time
from typing import cast

import pytest

from dbt_disco.benchmark.scenarios.guest_process import GuestProcess, Moment
from dbt_disco.benchmark.scenarios.settling import settle


class _SettlingGuest:
    """Time passes as it is slept; the compile worker has work until a time, in pauses of a few seconds."""

    def __init__(self, compiles_until: float) -> None:
        self.now = 0.0
        self._compiles_until = compiles_until

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def moment(self) -> Moment:
        return Moment(self.now, 0.04 * self.now)  # of an idle guest

    def seconds_of_others(self) -> float:
        return min(self.now, self._compiles_until) // 7


@pytest.mark.parametrize(
    ("compiles_until", "earliest", "latest"), [(0, 12, 13), (35, 47, 48), (1000, 120, 121)]
)
def test_it_outlasts_pauses_of_the_compile_worker_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, compiles_until: int, earliest: int, latest: int
) -> None:
    guest = _SettlingGuest(compiles_until)
    monkeypatch.setattr(time, "sleep", guest.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: guest.now)
    settle(cast(GuestProcess, guest))
    assert earliest <= guest.now <= latest
