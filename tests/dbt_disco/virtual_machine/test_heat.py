"""When code is hot: counted are taken branches, and what stands for many instructions counts for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.outcome import Ending
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import monitor_call, raw_image
from translator.predecode import SYSTEM_HOT_THRESHOLD

TIMES = 0x8000
"""Iterations of every loop here: too few for a short one."""


def loop(place: int, body: int) -> tuple[str, ...]:
    """With so many instructions before the branch back, that many behind the beginning of a page."""
    counted = "addiu r8, r8, -1"
    rest = [*["nop"] * (body - 1), counted, "bne r8, r0, again", "nop"]
    return *["nop"] * (place - 1), "ori r8, r0, 0x8000", "again:", *rest


def requests(tmp_path: Path, *program: str) -> int:
    """The translations that it has asked for."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*program, *monitor_call(3)))
    guest = VirtualMachine(Configuration(kernel, memory_size=4 << 20, use_cache=False), ScriptedConsole())
    assert guest.run().ending is Ending.POWER_OFF
    assert isinstance(guest.vcpu, SystemVcpu)
    requested = guest.vcpu.translations.counts.requested
    guest.close()
    return requested


@pytest.mark.parametrize(
    ("place", "body", "requested"),
    [
        (1, 2, 0),
        (1, 63, 0),
        (1, 64, 1),
        (1, 489, 1),
        (1000, 63, 0),
        (1000, 64, 1),
        (800, 489, 1),
        (1, 1100, 1),
    ],
)
def test_a_long_loop_is_hot_after_fewer_iterations(
    tmp_path: Path, place: int, body: int, requested: int
) -> None:
    """SHA-256 of the Debian kernel was interpreted for 100 million instructions."""
    assert TIMES < SYSTEM_HOT_THRESHOLD < 16 * TIMES
    assert requests(tmp_path, *loop(place, body)) == requested
