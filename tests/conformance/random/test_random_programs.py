"""Random programs – branches, loops, memory, atomics, traps, faults: every engine against Unicorn."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.conformance.engines import ENGINES
from tests.conformance.machines import make_machine
from tests.conformance.random.comparison import compare
from tests.conformance.random.programs import FOR_UNICORN, ProgramGenerator

PROGRAMS = 100
LENGTHS = (3, 8, 20, 60, 200)


def check(engine: str, big_endian: bool, wide_fpu: bool, seed: int) -> None:
    """One program."""
    machine, unicorn = (make_machine(name, big_endian, wide_fpu) for name in (engine, "unicorn"))
    source = random.Random(seed)
    start = ProgramGenerator(source, wide_fpu, source.choice(LENGTHS), FOR_UNICORN).start()
    compare(unicorn, machine, start, seed)


@pytest.mark.parametrize("wide_fpu", [False, True], ids=["fr0", "fr1"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ENGINES)
def test_programs(engine: str, big_endian: bool, wide_fpu: bool, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + PROGRAMS):
        check(engine, big_endian, wide_fpu, seed)


@pytest.mark.soak
def test_programs_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        for engine in ENGINES:
            check(engine, bool(seed & 1), bool(seed & 2), seed)
