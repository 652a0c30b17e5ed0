"""A region that control leaves all the time for code of another one: it is translated once more, with that in it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol

import pytest

from runtime import arrivals
from runtime.arrivals import Arrivals
from runtime.compile_client import CompileRequest
from runtime.compile_service import CompileService
from runtime.system.vcpu import SystemVcpu
from runtime.vcpu import Vcpu
from tests.runtime.native_guest import CODE, guest
from tests.runtime.system.bare_machine import CODE as SYSTEM_CODE
from tests.runtime.system.bare_machine import BareMachine
from translator.decode import decode
from translator.region import Profile, discover
from translator.state import Stop
from translator.translation import Translation
from translator.worker_messages import Extent

FIRST, SECOND, DETOUR, RETURNED = 0, 6, 12, 9
"""Places of instructions: two loops, a detour that both may make, and where the second one goes on after it."""
LOOPS = """\
and r8, r4, r9
bne r8, r0, 10
addiu r4, r4, -1
bne r4, r0, -4
xori r3, r3, NUMBER
break
addiu r4, r4, -1
beq r0, r0, 4
nop
bne r4, r0, -4
nop
break
addu r2, r2, r4
beq r10, r0, -11
nop
beq r0, r0, -7
ori r11, r0, NUMBER
"""
TIMES = 400_000
PATIENCE = 90
"""Seconds."""


def loops() -> str:
    """The program, unlike those of earlier runs everywhere: what has become of them is in the disk cache."""
    return LOOPS.replace("NUMBER", str(random.randrange(1 << 15)))


class Machine(Protocol):
    """What runs the program."""

    def run(self, place: int, times: int, mask: int, second: int) -> int:
        """r2 after so many times round the loop at `place`, which makes the detour where `mask` has a bit of r4."""

    def translations(self) -> list[Translation]:
        """What is installed now."""

    def entered(self, address: int) -> Translation:
        """What control goes to at an address where a region is entered."""


class UserMachine:
    def __init__(self, vcpu: Vcpu) -> None:
        self.vcpu = vcpu

    def run(self, place: int, times: int, mask: int, second: int) -> int:
        state = self.vcpu.state
        state.pc = CODE + 4 * place
        state.gpr[2], state.gpr[4], state.gpr[9], state.gpr[10] = 0, times, mask, second
        assert self.vcpu.run() is Stop.EXCEPTION
        return int(state.gpr[2])

    def translations(self) -> list[Translation]:
        installed = self.vcpu.translations._by_offset
        return [region.translation for _, region in installed]

    def entered(self, address: int) -> Translation:
        return self.vcpu.translations._by_entry[address].translation


class SystemMachine:
    def __init__(self, machine: BareMachine) -> None:
        assert isinstance(machine.vcpu, SystemVcpu)
        self.machine, self.vcpu = machine, machine.vcpu
        machine.start(*loops().replace("break", "syscall").splitlines())

    def run(self, place: int, times: int, mask: int, second: int) -> int:
        state = self.vcpu.state
        state.status = 0
        state.pc = 0x8000_0000 | SYSTEM_CODE + 4 * place
        state.gpr[2], state.gpr[4], state.gpr[9], state.gpr[10] = 0, times, mask, second
        assert self.machine.run() == "stop WAIT"
        return int(state.gpr[2])

    def translations(self) -> list[Translation]:
        regions = self.vcpu.variant.regions
        found = [region for page in regions.pages() for region in regions.on_page(page)]
        return [region.translation for region in found]

    def entered(self, address: int) -> Translation:
        page = self.machine.machine.page_at(self.machine.memory.pmap[SYSTEM_CODE >> 12] & -0x1000)
        entry = self.vcpu.variant.entries(page) + 4 * (address & 0xFFF)
        return self.vcpu.variant.regions.entered[entry][0].translation


@contextmanager
def user_machine() -> Iterator[Machine]:
    with guest(loops(), engine="auto") as vcpu:
        yield UserMachine(vcpu)


@contextmanager
def system_machine() -> Iterator[Machine]:
    machine = BareMachine("auto")
    try:
        yield SystemMachine(machine)
    finally:
        machine.close()


def wait_for(
    machine: Machine, run: Callable[[], object], found: Callable[[Translation], bool]
) -> Translation:
    """Run again and again until something is installed."""
    until = time.monotonic() + PATIENCE
    while True:
        run()
        for translation in machine.translations():
            if found(translation):
                return translation
        assert time.monotonic() < until, machine.translations()


def with_detours(times: int) -> int:
    """r2 after the first loop has made a detour at every odd number."""
    return sum(number - 1 for number in range(1, times + 1, 2)) & 0xFFFF_FFFF


def two_regions(machine: Machine) -> tuple[Translation, dict[int, int]]:
    """Have both loops translated, the first one without the detour; that one, and addresses by place."""
    assert machine.run(FIRST, 10, 0, 0) == 0
    first = wait_for(machine, lambda: machine.run(FIRST, TIMES, 0, 0), lambda t: bool(t.instructions))
    start = first.seed - first.seed % 0x1000
    at = {place: start + 4 * place for place in (FIRST, SECOND, DETOUR, RETURNED)}
    assert first.seed == at[FIRST]
    assert not first.contains(at[DETOUR])
    second = wait_for(machine, lambda: machine.run(RETURNED, TIMES, 0, 1), lambda t: t.contains(at[DETOUR]))
    assert not second.contains(at[FIRST])
    return first, at


BOTH = pytest.mark.parametrize(
    "machine_of", [user_machine, system_machine], ids=["program", "virtual machine"]
)
MachineOf = Callable[[], AbstractContextManager[Machine]]


@BOTH
def test_a_region_takes_in_what_it_is_left_for(machine_of: MachineOf) -> None:
    with machine_of() as machine:
        first, at = two_regions(machine)

        def run_with_detours() -> None:
            assert machine.run(FIRST, TIMES, 1, 0) == with_detours(TIMES)

        larger = wait_for(machine, run_with_detours, lambda t: t.generation > 0)
        assert {*first.blocks, at[DETOUR]} < set(larger.blocks)
        assert machine.entered(at[FIRST]) == larger
        run_with_detours()
        assert machine.run(RETURNED, 1000, 0, 1) == sum(range(1000))  # the second loop is what it was


@BOTH
def test_it_is_not_tried_for_ever(machine_of: MachineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: Counter[int] = Counter()
    translate = CompileService._translate

    def fail_if_larger(service: CompileService, request: CompileRequest) -> Translation | None:
        if request.extent is Extent.MERGED:
            tried[request.seed] += 1
            return None
        return translate(service, request)

    monkeypatch.setattr(CompileService, "_translate", fail_if_larger)
    with machine_of() as machine:
        two_regions(machine)
        until = time.monotonic() + PATIENCE
        rounds = 0
        while rounds < 60:
            assert machine.run(FIRST, TIMES, 1, 0) == with_detours(TIMES)
            rounds += bool(tried)
            assert time.monotonic() < until, "nothing was tried"
    assert max(tried.values()) <= arrivals.LAST_GENERATION, tried


def test_a_larger_region_has_others_blocks_and_entries() -> None:
    """Where control goes within another region is not counted; what is entered there, this one may be entered at."""
    from tests.runtime.native_guest import words

    code = words(loops())
    counts = {4 * FIRST: 1000, 4 * 3: 900}

    def word(pc: int) -> int | None:
        return int.from_bytes(code[pc : pc + 4], "little") if 0 <= pc < len(code) else None

    others = {4 * DETOUR, 4 * RETURNED}

    def found(profile: Profile) -> tuple[set[int], set[int]]:
        region = discover(0, profile)
        assert region is not None
        return set(region.blocks), set(region.entries)

    plain = Profile(word, lambda pc: counts.get(pc, 0), decode=decode, has_region=lambda pc: pc == 4 * DETOUR)
    plain_blocks, plain_entries = found(plain)
    assert not plain_blocks & others
    assert plain_entries == {0}
    blocks, entries = found(replace(plain, is_translated=lambda pc: pc in others))
    assert blocks > plain_blocks | {4 * DETOUR}
    assert entries == {0, 4 * DETOUR}


def test_arrivals_are_frequent_by_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10**15]
    monkeypatch.setattr(arrivals, "monotonic_ns", lambda: now[0])
    seen = Arrivals()
    assert not seen.are_frequent(1, 10**9), "it has never been zero"
    seen.count_anew(1)
    now[0] += 100_000_000
    assert not seen.are_frequent(1, 50_000)
    assert seen.are_frequent(1, 200_000)
    assert not seen.are_frequent(2, 200_000)
    assert [seen.frequent_in_a_row(1, 150_000) for _ in range(3)] == [1, 2, 3]
    seen.count_anew(1)
    now[0] += 100_000_000
    assert seen.frequent_in_a_row(1, 150_000) == 4
    assert seen.frequent_in_a_row(1, 50_000) == 0
    assert seen.frequent_in_a_row(1, 150_000) == 1
