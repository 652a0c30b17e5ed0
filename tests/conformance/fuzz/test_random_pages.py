"""A guest that executes anything at all ends in a proper stop, and never hurts the host process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.address_space import READ, WRITE, AddressSpace
from runtime.reference import ReferenceEngine
from runtime.vcpu import Vcpu
from tests.conformance.fuzz.random_pages import AREAS, CODE, CODE_SIZE, RandomPage, random_page
from translator.float_unit import read_fcsr, reset_float_state
from translator.state import ExceptionCode, Stop

SECONDS = 4.0
"""For each test of the default run …"""
LEAST_PAGES = 100
"""… unless the machine is so slow that it has not done this many by then."""
INSTRUCTIONS = 5000
SECONDS_A_RUN = 2.0
ROUNDS = 4
"""How often a guest goes on behind what has stopped it."""
NATIVE_ENGINES: dict[str, dict[str, Any]] = {
    "interpreter": {"engine": "interpreter", "count_instructions": True},
    "auto": {"engine": "auto"},
    "precise translator": {"engine": "translator", "precise_faults": True, "count_instructions": True},
    "translator": {"engine": "translator"},
}


class Guest:
    """One engine on an address space that takes one random page after another."""

    def __init__(self, engine: str, big_endian: bool) -> None:
        self.counts = engine == "reference" or NATIVE_ENGINES[engine].get("count_instructions", False)
        self.big_endian = big_endian
        self.space = AddressSpace()
        self.space.map_anonymous(CODE, CODE_SIZE, READ | WRITE)
        for address, size, _ in AREAS:
            self.space.map_anonymous(address, size, READ | WRITE)
        if engine == "reference":
            self.vcpu: Any = ReferenceEngine(self.space, big_endian=big_endian)
        else:
            self.vcpu = Vcpu(self.space, big_endian=big_endian, use_cache=False, **NATIVE_ENGINES[engine])

    def close(self) -> None:
        self.vcpu.close()
        self.space.close()

    def run(self, page: RandomPage) -> list[tuple[Any, ...]]:
        """Where and how it stopped, again and again; all stops must be proper ones."""
        self._set_up(page)
        state = self.vcpu.state
        ends = []
        for _ in range(ROUNDS):
            self.vcpu.clock_limit = state.clock + 16 * INSTRUCTIONS
            stop = self.vcpu.run() if self.counts else self._run_for_a_while()
            assert stop in (Stop.EXCEPTION, Stop.MEMORY_FAULT, Stop.LIMIT), stop
            assert state.gpr[0] == 0
            ends.append(self._end(stop))
            if stop is Stop.LIMIT:
                break
            state.pc = state.pc + 4 & 0xFFFF_FFFF
            state.in_delay_slot = 0
        return ends

    def _run_for_a_while(self) -> Stop:
        """An engine that does not count knows no limit in translated code. One that does may take its time: a stop
        by the host's clock would be a difference from the other one."""
        patience = threading.Timer(SECONDS_A_RUN, self.vcpu.request_stop)
        patience.start()
        stop: Stop = self.vcpu.run()
        patience.cancel()
        patience.join()
        return stop

    def _set_up(self, page: RandomPage) -> None:
        self.space.protect(CODE, CODE_SIZE, READ | WRITE)
        self.space.write(CODE, page.code)
        self.space.protect(CODE, CODE_SIZE, page.protection)
        for address, size, protection in AREAS:
            self.space.protect(address, size, READ | WRITE)
            self.space.write(address, page.code[:size])
            self.space.protect(address, size, protection)
        state = self.vcpu.state
        reset_float_state(state)
        for number, value in enumerate(page.registers):
            state.gpr[number] = value
        for number in range(32):
            state.fpr[number] = page.registers[number] << 32 | page.registers[-1 - number]
        state.pc, state.hi, state.lo, state.user_local = page.entry, 0, 0, 0
        state.in_delay_slot = state.link_valid = state.clock = 0

    def _end(self, stop: Stop) -> tuple[Any, ...]:
        state = self.vcpu.state
        what: tuple[Any, ...] = (stop.name,)
        if stop is Stop.EXCEPTION:
            what += (ExceptionCode(state.exception_code).name,)
        if stop is Stop.MEMORY_FAULT:
            what += (hex(state.bad_virtual_address),)
        registers = (*map(hex, state.gpr[:32]), hex(state.hi), hex(state.lo), *map(hex, state.fpr[:16]))
        memory = [hash(self.space.read(address, size)) for address, size, _ in AREAS]
        memory.append(hash(self.space.read(CODE, CODE_SIZE)))
        return (
            what, hex(state.pc), bool(state.in_delay_slot), state.clock, registers, hex(read_fcsr(state)), memory,
        )  # fmt: skip


def check(engine: str, big_endian: bool, seeds: Iterator[int]) -> None:
    """Random pages on one engine; a counting one must agree with the reference."""
    guest, reference = Guest(engine, big_endian), Guest("reference", big_endian)
    try:
        for seed in seeds:
            page = random_page(seed, big_endian)
            ends = guest.run(page)
            if engine in ("interpreter", "precise translator"):
                for expected, actual in zip(reference.run(page), ends, strict=True):
                    assert actual == expected, seed
    finally:
        guest.close()
        reference.close()


def bounded(first: int) -> Iterator[int]:
    end = time.monotonic() + SECONDS
    for number in itertools.count():
        if number >= LEAST_PAGES and time.monotonic() > end:
            return
        yield first + number


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", NATIVE_ENGINES)
def test_pages(engine: str, big_endian: bool, first_seed: int) -> None:
    check(engine, big_endian, bounded(first_seed))


@pytest.mark.soak
def test_pages_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        for engine in NATIVE_ENGINES:
            check(engine, bool(seed & 1), iter(range(64 * seed, 64 * seed + 64)))
