"""Every engine runs every FPU instruction in a loop: rounding modes, flushing and traps change on the way."""

from __future__ import annotations

import random

import pytest

from tests.conformance.assembler import assemble, encode
from tests.conformance.engines import ENGINES
from tests.conformance.fpu.batch_machine import BATCH, run_on_machine
from tests.conformance.fpu.instruction_forms import FORMS, Form, cases
from tests.conformance.machine import DATA, Registers, Start
from tests.conformance.machines import make_machine
from translator.dataflow import dataflow
from translator.encoding import ENCODINGS
from translator.float_mode import is_reserved


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


_DOUBLEWORD_MNEMONICS = sorted(
    mnemonic for mnemonic, encoding in ENCODINGS.items() if dataflow(encoding).register_fields("fpr64")
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mnemonic", _DOUBLEWORD_MNEMONICS)
def test_reserved_with_register_pairs(engine: str, mnemonic: str) -> None:
    """FR = 0: what `is_reserved` says, which `test_qemu_control` compares with QEMU."""
    encoding = ENCODINGS[mnemonic]
    doublewords = dataflow(encoding).register_fields("fpr64")
    base = {"base": 16} if "base" in encoding.fields else {}
    registers = Registers()
    registers.gpr[16] = DATA
    for odd in [None, *sorted(doublewords)]:
        word = encode(mnemonic, **{name: 2 + (name == odd) for name in doublewords}, **base)
        words = (assemble("addiu r8, r0, 1"), word, assemble("addiu r8, r0, 2"))
        outcome = make_machine(engine, False, False).execute(Start(words, registers))
        reserved = is_reserved(encoding, word, fr=False)
        assert outcome.event == ("exception RI" if reserved else "exception BP"), odd
        assert outcome.registers.gpr[8] == (1 if reserved else 2), odd
