"""The privileged-register page: accesses are moves, natively, unless they are to be emulated one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import monitor_call, raw_image
from translator.state import Stop

ROUNDS = 100
PAGE = -0x2000
STATUS, EPC, ERROR_EPC = 12 * 32, 14 * 32, 30 * 32
ACCESSES = (
    "lui r16, 0xffff",
    "ori r16, r16, 0xe000",
    f"addiu r2, r0, {ROUNDS}",
    "loop:",
    f"lw r9, {PAGE + STATUS:#x}(r0)",  # at a constant address
    f"lw r10, {STATUS:#x}(r16)",  # and at one that is only known now
    "mfc0.status r11",
    "xor r12, r9, r11",
    "xor r13, r10, r11",
    "or r12, r12, r13",
    "or r20, r20, r12",
    f"sw r2, {PAGE + EPC:#x}(r0)",
    "mfc0.epc r9",
    "xor r9, r9, r2",
    "or r20, r20, r9",
    f"sw r2, {ERROR_EPC:#x}(r16)",
    "mfc0.error_epc r9",
    "xor r9, r9, r2",
    "or r20, r20, r9",
    "addiu r2, r2, -1",
    "bne r2, r0, loop",
    "nop",
    "addu r4, r20, r0",
    *monitor_call(3),
)


@pytest.mark.parametrize("engine", ["interpreter", "translator"])
@pytest.mark.parametrize("rewrites", [True, False], ids=["rewritten", "emulated"])
def test_accesses_are_moves(tmp_path: Path, engine: Engine, rewrites: bool) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*ACCESSES))
    configuration = Configuration(
        kernel, memory_size=4 << 20, engine=engine, rewrites_privileged_page=rewrites
    )
    with RunningVirtualMachine(configuration) as guest:
        assert guest.join(60) == Outcome(Ending.POWER_OFF, 0)
        stops = guest.virtual_machine.vcpu.stops[Stop.PRIVILEGED_PAGE]
    assert stops == (0 if rewrites else 4 * ROUNDS)
