"""Every engine stops after exactly as many instructions as asked for, anywhere, and goes on from there."""

from __future__ import annotations

import random

import pytest

from tests.conformance.engines import ENGINES, EngineMachine
from tests.conformance.machines import make_machine
from tests.conformance.random.comparison import assert_equal
from tests.conformance.random.programs import FOR_LINUX, ProgramGenerator

PROGRAMS = 25


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", ENGINES)
def test_slices(engine: str, big_endian: bool, first_seed: int) -> None:
    machine, whole = (make_machine(name, big_endian, True) for name in (engine, "reference"))
    assert isinstance(machine, EngineMachine)
    for seed in range(first_seed, first_seed + PROGRAMS):
        source = random.Random(seed)
        start = ProgramGenerator(source, True, source.choice((10, 40, 150)), FOR_LINUX).start()
        longest = source.choice((1, 3, 20))
        actual = machine.execute_in_slices(start, lambda source=source, n=longest: source.randint(1, n))
        assert_equal(("in one go", whole.execute(start)), (f"{engine} in slices", actual), start, seed)
