"""Time and the outside world, under both clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dbt_disco.virtual_machine.configuration import Clock, Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.instruction_surroundings import (
    WALL_CLOCK_AT_START,
    InstructionSurroundings,
    clock_at,
    nanoseconds_of,
)
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import HELLO

_MILLISECOND = 1_000_000
_TICKS_IN_A_MILLISECOND = 160_000
_CLOCK_IN_A_MILLISECOND = 16 * 320_000


def _machine(clock: Clock) -> VirtualMachine:
    return VirtualMachine(
        Configuration(HELLO, memory_size=4 << 20, clock=clock, engine="interpreter"), ScriptedConsole()
    )


@pytest.fixture
def host() -> Iterator[RunSurroundings]:
    machine = _machine("host")
    yield machine.surroundings
    machine.close()


@pytest.fixture
def instructions() -> Iterator[VirtualMachine]:
    machine = _machine("instructions")
    yield machine
    machine.close()


# The host's clock.


def test_host_timers_come_in_time_and_in_order(host: RunSurroundings) -> None:
    called: list[tuple[str, int]] = []
    start = host.now()
    for name, delay in (("late", 30), ("early", 10), ("middle", 20)):
        due = start + delay * _MILLISECOND
        host.call_at(due, lambda name=name, due=due: called.append((name, host.now() - due)))  # type: ignore[misc]
    while len(called) < 3:
        host.idle(None)
    assert [name for name, _ in called] == ["early", "middle", "late"]
    assert all(0 <= lateness < 1000 * _MILLISECOND for _, lateness in called)


def test_host_timer_in_the_past(host: RunSurroundings) -> None:
    called: list[None] = []
    host.call_at(0, lambda: called.append(None))
    host.idle(None)
    assert called == [None]


def test_host_timer_set_earlier_than_another(host: RunSurroundings) -> None:
    called: list[str] = []
    host.call_at(host.now() + 3600 * 1000 * _MILLISECOND, lambda: called.append("in an hour"))
    host.call_at(host.now() + _MILLISECOND, lambda: called.append("soon"))
    host.idle(None)
    assert called == ["soon"]


def test_host_idle_lasts_until_compare_matches(host: RunSurroundings) -> None:
    before = host.now()
    match = (before + 20 * _MILLISECOND) * 4 // 25
    while host.now() * 4 // 25 < match:
        host.idle(match)
    assert host.now() - before >= 20 * _MILLISECOND
    assert 0 < host.slept <= host.now()
    slept = host.slept
    host.idle(match)  # it has matched already
    assert host.slept == slept


def test_host_idle_ends_for_input(host: RunSurroundings) -> None:
    read_end, write_end = os.pipe()
    received: list[bytes] = []
    host.watch(read_end, lambda: received.append(os.read(read_end, 10)))
    os.write(write_end, b"x")
    host.idle(None)
    assert received == [b"x"]
    host.unwatch(read_end)
    os.close(read_end)
    os.close(write_end)


def test_host_time_stands_still_in_a_pause() -> None:
    machine = _machine("host")
    host = machine.surroundings
    called: list[int] = []
    due = host.now() + 30 * _MILLISECOND
    host.call_at(due, lambda: called.append(host.now()))
    before, count_before = host.now(), machine.vcpu.count()
    machine.pause(lambda: time.sleep(0.2))
    assert host.now() - before < 150 * _MILLISECOND
    assert machine.vcpu.count() - count_before & 0xFFFF_FFFF < 150 * _TICKS_IN_A_MILLISECOND
    while not called:
        host.idle(None)
    assert due <= called[0] < due + 1000 * _MILLISECOND
    machine.close()


# The instruction clock.


def test_instruction_time_is_count() -> None:
    """Two instructions are a step of Count, of which there are 160 million in a second."""
    assert nanoseconds_of(_CLOCK_IN_A_MILLISECOND) == _MILLISECOND
    for nanoseconds in (*range(200), 10**15 + 1):
        clock = clock_at(nanoseconds)
        assert clock % 16 == 0
        assert nanoseconds_of(clock) >= nanoseconds
        assert clock == 0 or nanoseconds_of(clock - 16) < nanoseconds


def test_instruction_idle_skips_to_the_next_event(instructions: VirtualMachine) -> None:
    surroundings, state = cast(InstructionSurroundings, instructions.surroundings), instructions.vcpu.state
    called: list[int] = []
    surroundings.call_at(5 * _MILLISECOND, lambda: called.append(state.clock))
    surroundings.idle(3 * _TICKS_IN_A_MILLISECOND)
    assert (state.clock, called) == (3 * _CLOCK_IN_A_MILLISECOND, [])
    surroundings.idle(9 * _TICKS_IN_A_MILLISECOND)
    assert (state.clock, called) == (5 * _CLOCK_IN_A_MILLISECOND, [5 * _CLOCK_IN_A_MILLISECOND])
    surroundings.idle(9 * _TICKS_IN_A_MILLISECOND)
    assert state.clock == surroundings.skipped == 9 * _CLOCK_IN_A_MILLISECOND
    assert surroundings.now() == 9 * _MILLISECOND
    assert surroundings.wall_clock() == WALL_CLOCK_AT_START + 9 * _MILLISECOND


def test_instruction_idle_without_events_waits_for_input(instructions: VirtualMachine) -> None:
    surroundings = instructions.surroundings
    read_end, write_end = os.pipe()
    received: list[bytes] = []
    surroundings.watch(read_end, lambda: received.append(os.read(read_end, 10)))
    os.write(write_end, b"x")
    surroundings.idle(None)
    assert received == [b"x"]
    assert surroundings.now() == 0
    surroundings.unwatch(read_end)
    os.close(read_end)
    os.close(write_end)


def test_random_bytes_follow_the_seed(tmp_path: Path) -> None:
    def some(seed: int) -> bytes:
        configuration = Configuration(HELLO, memory_size=4 << 20, clock="instructions", seed=seed)
        machine = VirtualMachine(configuration, ScriptedConsole())
        data = machine.surroundings.random(16)
        machine.close()
        return data

    assert some(1) == some(1)
    assert some(1) != some(2)
