"""cfc1 and ctc1 of every control register number, and reserved register numbers, against qemu-mipsel."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.assembler import encode
from tests.conformance.fpu.batch_machine import BATCH, run_on_machine
from tests.conformance.fpu.batch_program import Case, run_under_qemu
from tests.conformance.machines import make_machine
from translator.dataflow import dataflow
from translator.encoding import ENCODINGS
from translator.fcsr import CAUSE_MASK, ENABLES_MASK
from translator.float_mode import is_reserved

_CFC1, _CTC1 = 0x4440_0000, 0x44C0_0000
_R8, _R9 = 8 << 16, 9 << 16


def _control_words(number: int) -> str:
    """Write the record's first word to the control register `number`, and read it back into f0."""
    control = number << 11
    return f"""
        lw r8, 0(r16)
        .word {_CTC1 | _R8 | control:#x}
        .word {_CFC1 | _R9 | control:#x}
        mtc1 r9, f0
    """


def _random_value(source: random.Random) -> int:
    """Often with few bits set, so that writes to the views are valid and nothing traps."""
    value = source.getrandbits(32)
    for _ in range(source.randrange(3)):
        value &= source.getrandbits(32)
    return value


@pytest.mark.parametrize("number", range(32))
@pytest.mark.parametrize("engine", ["reference", "interpreter"])
def test_control_register(
    number: int, engine: str, first_seed: int, program: Callable[[str], str], tmp_path: Path
) -> None:
    source = random.Random(f"{number} {first_seed}")
    cases = []
    while len(cases) < BATCH // 2:
        fcsr = _random_value(source)
        if source.getrandbits(1):
            fcsr &= ~CAUSE_MASK
        else:
            fcsr &= ~ENABLES_MASK
            fcsr &= ~(1 << 17)  # unimplemented operation is always enabled
        cases.append(Case((_random_value(source),), fcsr))
    text = _control_words(number)
    expected = run_under_qemu(program("qemu-mipsel"), tmp_path, text, "lwc1", True, cases)
    results = run_on_machine(make_machine(engine, False, True), text, "lwc1", cases)
    for case, result, reference in zip(cases, results, expected, strict=True):
        assert result == reference, f"control register {number}, {case}"


_DOUBLEWORD_MNEMONICS = sorted(
    mnemonic
    for mnemonic, encoding in ENCODINGS.items()
    if dataflow(encoding).register_fields("fpr64", "fpr_high")
)


@pytest.mark.parametrize("mnemonic", _DOUBLEWORD_MNEMONICS)
def test_reserved_with_register_pairs(mnemonic: str, program: Callable[[str], str], tmp_path: Path) -> None:
    """FR = 0: QEMU kills the program by SIGILL exactly where we say the instruction is reserved."""
    encoding = ENCODINGS[mnemonic]
    doublewords = dataflow(encoding).register_fields("fpr64", "fpr_high")
    in_memory = {"base": 16} if "base" in encoding.fields else {}
    for odd in [None, *sorted(doublewords)]:
        fields = {name: 2 + (name == odd) for name in doublewords}
        word = encode(mnemonic, **fields, **in_memory)
        arguments = program("qemu-mipsel"), tmp_path, f".word {word:#x}", "lwc1", False, [Case((0,), 0)]
        if is_reserved(encoding, word, fr=False):
            with pytest.raises(subprocess.CalledProcessError) as killed:
                run_under_qemu(*arguments)
            assert "SIGILL" in str(killed.value), (mnemonic, odd)
        else:
            run_under_qemu(*arguments)
