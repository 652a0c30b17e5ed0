"""The tables of this directory, on every engine of ours and on Unicorn, which vouches for the tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

import translator.isa  # noqa: F401
from tests.conformance.engines import ENGINES
from tests.conformance.instructions.notation import Bench, Case, read_cases
from tests.conformance.machine import differences
from tests.conformance.machines import make_machine
from translator.encoding import ENCODINGS

TABLES = sorted(Path(__file__).parent.glob("*.txt"))
CASES = {f"{path.stem}: {case.text}": case for path in TABLES for case in read_cases(path)}
MACHINES = (*ENGINES, "unicorn")


def parameters() -> Iterator[object]:
    """Every case on every machine, in the modes in which it holds and that make a difference to it."""
    for name, case in CASES.items():
        for machine, big_endian, wide_fpu in product(MACHINES, (False, True), (False, True)):
            if not case.applies(big_endian, wide_fpu) or (wide_fpu and not case.uses_fpu):
                continue
            if machine == "unicorn" and not case.for_unicorn:
                continue
            mode = f"{machine} {'be' if big_endian else 'le'} {'fr1' if wide_fpu else 'fr0'}"
            yield pytest.param(case, (machine, big_endian, wide_fpu), id=f"{mode} {name}")


@pytest.mark.parametrize(("case", "kind"), list(parameters()))
def test_case(case: Case, kind: tuple[str, bool, bool]) -> None:
    machine = make_machine(*kind)
    bench = Bench(case, machine.big_endian, machine.wide_fpu)
    actual = machine.execute(bench.start)
    assert not differences(bench.expected(actual), actual)


def test_every_instruction_has_a_case() -> None:
    """The privileged ones are for whole machines: tests.conformance.system."""
    covered = {mnemonic for case in CASES.values() for mnemonic in case.mnemonics}
    privileged = {mnemonic for mnemonic, encoding in ENCODINGS.items() if encoding.privileged}
    assert not ENCODINGS.keys() - covered - privileged
    assert not covered & privileged


def test_no_case_stands_twice() -> None:
    assert sum(1 for path in TABLES for _ in read_cases(path)) == len(CASES)
