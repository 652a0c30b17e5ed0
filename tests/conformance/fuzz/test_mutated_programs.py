"""Real programs with bytes changed anywhere in the file: refused, or run to a proper stop.

No system call is done: each fails with ENOSYS, so that a mutant cannot do harm.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dbt_disco
from dbt_disco.linux.load_error import LoadError
from dbt_disco.linux.loader import load_program
from runtime.address_space import AddressSpace
from runtime.vcpu import Vcpu
from translator.state import ExceptionCode, Stop

SECONDS = 4.0
LEAST_MUTANTS = 20
INSTRUCTIONS = 300_000
SYSTEM_CALLS = 50
_ENOSYS = 89
_HEADERS = 0x200
ORIGINALS = sorted((Path(dbt_disco.__file__).parent / "embedded").glob("*/*"))


def mutant(seed: int) -> bytes:
    """One of the embedded programs, up to a few dozen bytes of it changed, some perhaps cut off."""
    source = random.Random(seed)
    data = bytearray(source.choice(ORIGINALS).read_bytes())
    reach = _HEADERS if source.random() < 0.3 else len(data)
    for _ in range(source.choice((1, 4, 40))):
        data[source.randrange(4, reach)] = source.choice((0, 0x80, 0xFF, source.randrange(256)))
    if source.random() < 0.1:
        del data[source.randrange(len(data)) :]
    return bytes(data)


def run(path: Path, **options: Any) -> None:
    """Load and run until it faults, has made SYSTEM_CALLS system calls, or has had its time."""
    space = AddressSpace()
    vcpu = None
    try:
        program = load_program(space, str(path))
        vcpu = Vcpu(space, big_endian=program.big_endian, wide_fpu=program.wide_fpu, **options)
        state = vcpu.state
        state.pc, state.gpr[29] = program.entry, program.stack_pointer
        vcpu.clock_limit = 16 * INSTRUCTIONS
        for _ in range(SYSTEM_CALLS):
            stop = vcpu.run()
            assert stop in (Stop.EXCEPTION, Stop.MEMORY_FAULT, Stop.LIMIT), stop
            if stop is not Stop.EXCEPTION or state.exception_code != ExceptionCode.SYS or state.in_delay_slot:
                return
            state.gpr[2], state.gpr[7], state.pc = _ENOSYS, 1, state.pc + 4 & 0xFFFF_FFFF
    except LoadError as error:
        assert "\n" not in str(error)
    finally:
        if vcpu is not None:
            vcpu.close()
        space.close()


def check(engine: str, directory: Path, seeds: Iterator[int]) -> None:
    path = directory / "mutant"
    for seed in seeds:
        print(f"seed {seed}")
        path.write_bytes(mutant(seed))
        path.chmod(0o755)
        run(path, engine=engine, count_instructions=True)


@pytest.mark.parametrize("engine", ["interpreter", "auto"])
def test_mutants(engine: str, first_seed: int, tmp_path: Path) -> None:
    end = time.monotonic() + SECONDS
    numbers = itertools.takewhile(lambda n: n < LEAST_MUTANTS or time.monotonic() < end, itertools.count())
    check(engine, tmp_path, (first_seed + number for number in numbers))


@pytest.mark.soak
def test_mutants_soak(soak_seeds: Iterator[int], tmp_path: Path) -> None:
    for seed in soak_seeds:
        for engine in ("interpreter", "auto", "translator"):
            check(engine, tmp_path, iter([seed]))
