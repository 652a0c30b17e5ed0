"""Everything that changes memory, at random: no byte differs from what a naive model has, and the auditor agrees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.dbt_disco.virtual_machine.memory_model import run_model


def test_some_sequences() -> None:
    run_model(settings(max_examples=40, stateful_step_count=50, deadline=None, derandomize=True))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_more_sequences(part: int) -> None:
    """In parts, for several processors, and so that none takes long: hypothesis begins each with a seed of its own."""
    run_model(settings(max_examples=100, stateful_step_count=80, deadline=None))


@pytest.mark.soak
def test_sequences_without_end(soak_seeds: Iterator[int]) -> None:
    for _ in soak_seeds:  # hypothesis has seeds of its own, and prints the sequence that fails
        run_model(settings(max_examples=20, stateful_step_count=100, deadline=None))
