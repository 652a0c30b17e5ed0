"""Every engine runs every FPU instruction in a loop: rounding modes, flushing and traps change on the way."""

from __future__ import annotations

import random

import pytest

from tests.conformance.engines import ENGINES
from tests.conformance.fpu.batch_machine import BATCH, run_on_machine
from tests.conformance.fpu.instruction_forms import FORMS, Form, cases
from tests.conformance.machines import make_machine


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("form", "wide_fpu"),
    [
        pytest.param(form, wide_fpu, id=f"{form.mnemonic}-{'fr1' if wide_fpu else 'fr0'}")
        for form in FORMS
        for wide_fpu in (False, True)
        if wide_fpu or not form.needs_wide_fpu
    ],
)
def test_engine(engine: str, form: Form, wide_fpu: bool, first_seed: int) -> None:
    source = random.Random(f"{form.mnemonic} {wide_fpu} {first_seed}")
    batch = source.sample(cases(form, source, 200, traps=True), BATCH)
    batch[: BATCH // 2] = sorted(batch[: BATCH // 2], key=lambda case: case.fcsr & 0xF80 != 0)
    results = run_on_machine(make_machine(engine, False, wide_fpu), form.text, form.load, batch)
    for case, result in zip(batch, results, strict=True):
        assert result == form.expected(case), f"{form.text}, {case}"
