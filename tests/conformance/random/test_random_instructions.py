"""Single instructions on random states: every engine against Unicorn."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.conformance.engines import ENGINES
from tests.conformance.machines import make_machine
from tests.conformance.random.comparison import compare
from tests.conformance.random.instructions import COMPARABLE, single_instruction

STATES_PER_INSTRUCTION = 5


def check(engine: str, big_endian: bool, wide_fpu: bool, seed: int) -> None:
    """Every instruction once, each on a state of its own."""
    machine, unicorn = (make_machine(name, big_endian, wide_fpu) for name in (engine, "unicorn"))
    source = random.Random(seed)
    for encoding in COMPARABLE:
        compare(unicorn, machine, single_instruction(source, encoding, wide_fpu), seed)


@pytest.mark.parametrize("wide_fpu", [False, True], ids=["fr0", "fr1"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ENGINES)
def test_instructions(engine: str, big_endian: bool, wide_fpu: bool, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + STATES_PER_INSTRUCTION):
        check(engine, big_endian, wide_fpu, seed)


@pytest.mark.soak
def test_instructions_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        for engine in ENGINES:
            check(engine, bool(seed & 1), bool(seed & 2), seed)
