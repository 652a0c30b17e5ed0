"""The first instructions of Debian's stock kernel, in lockstep with the reference engine."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.lockstep.machine_lockstep import MachineLockstep
from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system.vcpu import SystemVcpu

BLOCK_BY_BLOCK = 0
BY_DEFAULT = 1_000_000
WHEN_SLOW = 20_000_000
HANG = 1500
"""Seconds: 300 to 600 have been seen on one host."""
TRANSLATED_BY_DEFAULT = 400_000
"""Behind them comes code of many blocks, each of which has to be translated."""


@pytest.fixture
def configuration(debian: GuestFiles) -> Configuration:
    return Configuration(debian.kernel, debian.initramfs, DEBIAN_COMMAND_LINE, clock="instructions")


def check(configuration: Configuration, engine: Engine, instructions: int, stretch: int) -> int:
    """Boot so far; the number of instructions executed in regions."""
    leader, follower = (
        VirtualMachine(replace(configuration, engine=each), ScriptedConsole())
        for each in ("reference", engine)
    )
    with closing(leader), closing(follower):
        lockstep = MachineLockstep(leader, follower, ("reference", engine), stretch=stretch)
        assert lockstep.run(instructions) is None
        assert leader.vcpu.state.clock >= 16 * instructions
        assert isinstance(follower.vcpu, SystemVcpu)
        return int(follower.vcpu.state.translated_clock) // 16


def test_interpreter(configuration: Configuration) -> None:
    check(configuration, "interpreter", BY_DEFAULT, BLOCK_BY_BLOCK)


def test_auto(configuration: Configuration) -> None:
    """What is hot and when its region is there depends on the host; regions are left near each comparison."""
    check(configuration, "auto", BY_DEFAULT, 1000)


@pytest.mark.parametrize(
    "instructions", [TRANSLATED_BY_DEFAULT, pytest.param(BY_DEFAULT, marks=pytest.mark.slow)]
)
def test_translator(configuration: Configuration, instructions: int) -> None:
    """Little is hot so early; here everything is translated."""
    assert check(configuration, "translator", instructions, 1000) > instructions // 2


@pytest.mark.slow
@pytest.mark.timeout(HANG)
def test_interpreter_for_long(configuration: Configuration) -> None:
    check(configuration, "interpreter", WHEN_SLOW, BLOCK_BY_BLOCK)


@pytest.mark.slow
@pytest.mark.timeout(HANG)
def test_auto_for_long(configuration: Configuration) -> None:
    check(configuration, "auto", WHEN_SLOW, 1000)
