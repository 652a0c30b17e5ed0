"""The FPU on integers against qemu-mipsel: bits, FCSR and traps of every instruction in both register modes.

The native engines are compared with the FPU on integers elsewhere (`tests.translator.fpu`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.fpu.batch_program import Case, run_under_qemu
from tests.conformance.fpu.instruction_forms import FORMS, Form, cases


def _check(qemu: str, directory: Path, form: Form, wide_fpu: bool, batch: list[Case]) -> None:
    results = run_under_qemu(qemu, directory, form.text, form.load, wide_fpu, batch)
    for case, result in zip(batch, results, strict=True):
        assert form.expected(case) == result, f"{form.text}, {case}"


@pytest.mark.parametrize(
    ("form", "wide_fpu"),
    [
        pytest.param(form, wide_fpu, id=f"{form.mnemonic}-{'fr1' if wide_fpu else 'fr0'}")
        for form in FORMS
        for wide_fpu in (False, True)
        if wide_fpu or not form.needs_wide_fpu
    ],
)
def test_as_qemu(
    form: Form, wide_fpu: bool, first_seed: int, program: Callable[[str], str], tmp_path: Path
) -> None:
    source = random.Random(f"{form.mnemonic} {wide_fpu} {first_seed}")
    _check(program("qemu-mipsel"), tmp_path, form, wide_fpu, cases(form, source, 300, traps=True))


@pytest.mark.soak
def test_soak(soak_seeds: Iterator[int], program: Callable[[str], str], tmp_path: Path) -> None:
    for seed in soak_seeds:
        source = random.Random(seed)
        form = source.choice(FORMS)
        wide_fpu = form.needs_wide_fpu or bool(source.getrandbits(1))
        _check(program("qemu-mipsel"), tmp_path, form, wide_fpu, cases(form, source, 4000, traps=True))
