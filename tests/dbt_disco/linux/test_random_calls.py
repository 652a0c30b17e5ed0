"""Whatever a guest asks for, it gets a result or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
CALLS = 4000


def make_random_calls(seed: int, directory: Path) -> None:
    command = [sys.executable, "-m", "tests.dbt_disco.linux.random_calls", str(seed), str(CALLS)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    # Files, because calls will be made on these descriptors: /dev/null is the host's.
    with open(directory / "input", "w+b") as input_, open(directory / "output", "w+b") as output:
        done = subprocess.run(
            command, cwd=directory, env=environment, stdin=input_, stdout=output, stderr=output, timeout=120
        )
        output.seek(0)
        assert done.returncode == 0, f"seed {seed}: {output.read()[-3000:].decode(errors='replace')}"


@pytest.mark.parametrize("block", range(6))
def test_random_calls_are_answered(tmp_path: Path, first_seed: int, block: int) -> None:
    make_random_calls(100 * first_seed + block, tmp_path)


@pytest.mark.soak
def test_random_calls_for_long(tmp_path: Path, soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        make_random_calls(seed, tmp_path)
