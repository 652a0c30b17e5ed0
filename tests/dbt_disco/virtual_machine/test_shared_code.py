"""What one virtual machine has decoded and translated serves the others, until they store to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system.installed_regions import ANYWHERE, Place
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import monitor_call, raw_image
from translator.predecode import SYSTEM_HOT_THRESHOLD, SYSTEM_HOTTER_THRESHOLD
from translator.state import Stop

MEMORY_SIZE = 4 << 20
TIMEOUT = 60
LOOP_PAGE = 0x1000
"""Of the image, where the loop is."""
ROUNDS = 40

LOOP = ("lui r2, 1", "loop:", "addiu r2, r2, -1", "bne r2, r0, loop", "addiu r3, r3, 1", "jr r31", "nop")
"""What it has counted in r3 says what has been executed: its fourth instruction may be changed."""

RUN_LOOP = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", "addu r3, r0, r0", "jalr r31, r16", "nop"),
    *("srl r4, r3, 10", *monitor_call(3)),
)
"""Calls the loop, and powers off with what it has counted, in thousands."""

CHANGE_AND_RUN = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", "addu r17, r0, r0"),
    "again:",
    *("addu r3, r0, r0", "jalr r31, r16", "nop"),
    *("addu r18, r18, r3", "lw r9, 12(r16)", "xori r9, r9, 3", "sw r9, 12(r16)"),
    *("addiu r17, r17, 1", f"sltiu r9, r17, {ROUNDS}", "bne r9, r0, again", "nop"),
    *("srl r4, r18, 16", *monitor_call(3)),
)
"""Calls the loop ROUNDS times, and each time changes what it adds: by 1, then 2, then 1 again."""

FOR_EVER = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", "lui r18, 1"),
    "again:",
    *("addu r3, r0, r0", "jalr r31, r16", "nop", "beq r3, r18, again", "nop"),
    *("addiu r4, r0, 1", *monitor_call(3)),
)
"""Calls the loop, until it has not counted what it should."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(16 * MEMORY_SIZE)
    yield machine
    machine.close()


def configuration(directory: Path, name: str, *program: str) -> Configuration:
    """The kernels are different, but the pages of their loops are the same."""
    kernel = directory / name
    kernel.write_bytes(raw_image(*program).ljust(LOOP_PAGE, b"\0") + raw_image(*LOOP).ljust(0x1000, b"\0"))
    return Configuration(kernel, memory_size=MEMORY_SIZE, use_cache=False)


def vcpu(guest: VirtualMachine) -> SystemVcpu:
    assert isinstance(guest.vcpu, SystemVcpu)
    return guest.vcpu


def loop_page(guest: VirtualMachine) -> int:
    return guest.memory.machine_page(0x101)


def test_the_second_one_neither_decodes_nor_translates(machine: Machine, tmp_path: Path) -> None:
    setup = replace(configuration(tmp_path, "kernel", *RUN_LOOP), engine="translator")
    first, second = (VirtualMachine(setup, ScriptedConsole(), machine=machine) for _ in range(2))
    assert first.run() == second.run() == Outcome(Ending.POWER_OFF, 64)
    requested = [vcpu(guest).translations.counts.requested for guest in (first, second)]
    assert requested[0] > 0 and requested[1] == 0
    new_code = [vcpu(guest).stops[Stop.NEW_CODE] for guest in (first, second)]
    assert new_code[0] > 0 and new_code[1] == 0
    machine.audit([first, second])
    first.close()
    machine.audit([second])
    second.close()
    machine.audit([])


LIVES = 6


def test_nothing_gets_hot_by_the_sum_of_many_lives(machine: Machine, tmp_path: Path) -> None:
    """Each executes the loop a third as often as makes it hot, or a little less."""
    setup = configuration(tmp_path, "kernel", *RUN_LOOP)
    assert SYSTEM_HOT_THRESHOLD // LIVES < 0x1_0000 < SYSTEM_HOT_THRESHOLD // 2
    guests = []
    for _ in range(LIVES):
        guests.append(VirtualMachine(setup, ScriptedConsole(), machine=machine))
        assert guests[-1].run() == Outcome(Ending.POWER_OFF, 64)
    assert len({loop_page(guest) for guest in guests}) == 1
    assert [vcpu(guest).translations.counts.requested for guest in guests] == [0] * LIVES
    for guest in guests:
        guest.close()


RUN_LOOP_OFTEN = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", "lw r17, 0x1000(r16)"),
    *("again:", "jalr r31, r16", "addiu r17, r17, -1", "bne r17, r0, again", "nop"),
    *monitor_call(3),
)
"""Calls the loop, which counts 0x1_0000 taken branches, as often as the word behind it says, and powers off."""


def requests(machine: Machine, directory: Path, times: list[int]) -> list[int]:
    """Translations requested by virtual machines that run the loop so often each, one after the other."""
    setup = configuration(directory, "kernel", *RUN_LOOP_OFTEN)
    guests = []
    for count in times:
        guests.append(VirtualMachine(setup, ScriptedConsole(), machine=machine))
        guests[-1].memory.write(0x102 << 12, count.to_bytes(4, "little"))
        assert guests[-1].run().ending is Ending.POWER_OFF
    counts = [vcpu(guest).translations.counts.requested for guest in guests]
    for guest in guests:
        guest.close()
    return counts


def test_what_others_have_run_and_not_made_hot_has_to_be_hotter(machine: Machine, tmp_path: Path) -> None:
    """A threshold that one virtual machine has just not reached, the next would pass by a little."""
    times, more = SYSTEM_HOT_THRESHOLD >> 16, SYSTEM_HOTTER_THRESHOLD >> 16
    assert requests(machine, tmp_path, [times - 1, times + 1, more - 1, more + 1]) == [0, 0, 0, 1]


def test_what_gets_hot_within_a_region_is_counted_anew_for_each(machine: Machine, tmp_path: Path) -> None:
    setup = configuration(tmp_path, "kernel", *RUN_LOOP)
    first = VirtualMachine(setup, ScriptedConsole(), machine=machine)
    assert first.run() == Outcome(Ending.POWER_OFF, 64)
    within = Place(vcpu(first).variant.entries(loop_page(first)), ANYWHERE)
    covered = vcpu(first).variant.regions.covered
    covered[within] = 2
    second = VirtualMachine(setup, ScriptedConsole(), machine=machine)
    assert covered == {within: 0}
    for guest in (first, second):
        guest.close()


def test_what_is_new_need_not_be_hotter(machine: Machine, tmp_path: Path) -> None:
    assert requests(machine, tmp_path, [(SYSTEM_HOT_THRESHOLD >> 16) + 1, 1]) == [1, 0]


def test_equal_pages_become_one_when_they_are_executed(machine: Machine, tmp_path: Path) -> None:
    """Of different files, so that they are shared by what they hold only."""
    names = ("one", "other")
    guests = [
        VirtualMachine(configuration(tmp_path, name, *RUN_LOOP), ScriptedConsole(), machine=machine)
        for name in names
    ]
    for guest in guests:
        guest.memory.write(0x101 << 12 | 0x800, b"x")  # which makes it the virtual machine's own
    assert loop_page(guests[0]) != loop_page(guests[1])
    for guest in guests:
        assert guest.run() == Outcome(Ending.POWER_OFF, 64)
    assert loop_page(guests[0]) == loop_page(guests[1])
    machine.audit(guests)
    guests[0].memory.write(0x101 << 12 | 0x800, b"y")
    assert guests[1].memory.read(0x101 << 12 | 0x800, 1) == b"x"
    assert loop_page(guests[0]) != loop_page(guests[1])
    machine.audit(guests)
    for guest in guests:
        guest.close()


FUNCTIONS = 8
PATCH_AND_RUN = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", f"addiu r17, r0, {FUNCTIONS}", "addu r2, r0, r0"),
    *("patch:", "lw r9, 4(r16)", "addu r9, r9, r17", "sw r9, 4(r16)"),
    *("addiu r17, r17, -1", "bne r17, r0, patch", "addiu r16, r16, 0x1000"),
    f"addiu r17, r0, {FUNCTIONS}",
    *("call:", "addiu r16, r16, -0x1000", "jalr r31, r16", "addiu r17, r17, -1", "bne r17, r0, call", "nop"),
    *("addu r4, r2, r0", *monitor_call(3)),
)
"""Has FUNCTIONS functions, a page each from LOOP_PAGE on, add something else than they would, and calls them."""


def test_patched_text_is_copied_and_exchanged_together(machine: Machine, tmp_path: Path) -> None:
    """The second virtual machine does what the first has done; what the third has done otherwise it keeps."""
    kernel = tmp_path / "kernel"
    function = raw_image("jr r31", "addiu r2, r2, 1").ljust(0x1000, b"\0")
    kernel.write_bytes(raw_image(*PATCH_AND_RUN).ljust(LOOP_PAGE, b"\0") + function * FUNCTIONS)
    setup = Configuration(kernel, memory_size=MEMORY_SIZE, use_cache=False)
    guests = [VirtualMachine(setup, ScriptedConsole(), machine=machine) for _ in range(3)]
    frames = range(0x101, 0x101 + FUNCTIONS)
    total = FUNCTIONS * (FUNCTIONS + 3) // 2
    other, own = frames[2], 9
    guests[2].memory.write(other << 12 | 4, (own - (FUNCTIONS - 2)).to_bytes(1, "little"))
    assert [guest.run().status for guest in guests] == [total, total, total - (FUNCTIONS - 1) + own]
    stops = [vcpu(guest).stops for guest in guests]
    assert [each[Stop.COPY_ON_WRITE] for each in stops[1:]] == [1, 1]
    assert stops[0][Stop.NEW_CODE] > FUNCTIONS
    assert [each[Stop.NEW_CODE] for each in stops[1:]] == [1, 2], "the first of them, and the other one"
    found = [[guest.memory.machine_page(frame) for frame in frames] for guest in guests]
    assert found[0] == found[1]
    assert [number for number in range(FUNCTIONS) if found[2][number] != found[0][number]] == [2]
    machine.audit(guests)
    guests[0].memory.write(frames[0] << 12 | 4, b"\0")
    assert guests[1].memory.read(frames[0] << 12 | 4, 1) == bytes([FUNCTIONS + 1])
    machine.audit(guests)
    for guest in guests:
        guest.close()
    machine.audit([])


@pytest.mark.parametrize("engine", ["interpreter", "translator", "auto"])
def test_who_changes_shared_code_executes_the_new_one_others_the_old(
    machine: Machine, tmp_path: Path, engine: str
) -> None:
    """One runs a loop all the time, on a thread of its own, while others change theirs, over and over, and end."""
    endless = replace(configuration(tmp_path, "endless", *FOR_EVER), engine=engine)
    changing = replace(configuration(tmp_path, "changing", *CHANGE_AND_RUN), engine=engine)
    steady = VirtualMachine(endless, ScriptedConsole(), machine=machine)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(steady.run()))
    thread.start()
    try:
        for _ in range(3):
            guest = VirtualMachine(changing, ScriptedConsole(), machine=machine)
            assert guest.run() == Outcome(Ending.POWER_OFF, ROUNDS * 3 // 2)
            assert vcpu(guest).stops[Stop.COPY_ON_WRITE] > 0
            guest.close()
            assert not outcomes
    finally:
        steady.stop(Outcome(Ending.STOPPED))
        thread.join(TIMEOUT)
    assert outcomes == [Outcome(Ending.STOPPED)]
    machine.audit([steady])
    steady.close()
    machine.audit([])


def test_regions_come_and_go_while_another_one_runs_them(machine: Machine, tmp_path: Path) -> None:
    """All regions are dropped again and again; what is in the midst of one stays right, and the memory is freed."""
    setup = replace(configuration(tmp_path, "endless", *FOR_EVER), engine="translator")
    guests = [VirtualMachine(setup, ScriptedConsole(), machine=machine) for _ in range(2)]
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda guest=guest: outcomes.append(guest.run())) for guest in guests]
    for thread in threads:
        thread.start()
    regions = vcpu(guests[0]).variant.regions
    deadline = time.monotonic() + TIMEOUT
    try:
        for _ in range(30):
            while not regions.entered:
                assert time.monotonic() < deadline and not outcomes
                time.sleep(0.001)
            with machine.memory.lock:
                regions.drop_all()
    finally:
        for guest in guests:
            guest.stop(Outcome(Ending.STOPPED))
        for thread in threads:
            thread.join(TIMEOUT)
    assert outcomes == [Outcome(Ending.STOPPED)] * 2
    with machine.memory.lock:
        regions.drop_all()
        regions.free_retired()
    assert not regions.retired and not regions.entered
    machine.audit(guests)
    for guest in guests:
        guest.close()


BOTH_MODES = (
    *("lui r16, 0x8010", "ori r16, r16, 0x1000", "lui r10, 0x2040", "lui r11, 0x2440"),
    *("mtc0.status r10", "jalr r31, r16", "nop", "mtc0.status r11", "jalr r31, r16", "nop"),
    *("lw r9, 4(r16)", "xori r9, r9, 3", "sw r9, 4(r16)", "jalr r31, r16", "nop", "addu r4, r2, r0"),
    *("mtc0.status r10", "jalr r31, r16", "nop", "sll r2, r2, 4", "or r4, r4, r2", *monitor_call(3)),
)
"""Calls a function with FR = 0 and 1, changes what it gives from 1 to 2, and calls it again in both modes."""


@pytest.mark.parametrize("shares", [False, True])
def test_a_store_to_code_is_seen_in_both_modes_of_the_fpu(tmp_path: Path, shares: bool) -> None:
    """What has been decoded in the mode that the store is not made in goes as well."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(
        raw_image(*BOTH_MODES).ljust(LOOP_PAGE, b"\0") + raw_image("jr r31", "addiu r2, r0, 1")
    )
    machine = Machine(4 * MEMORY_SIZE, shares_images=shares)
    guest = VirtualMachine(
        Configuration(kernel, memory_size=MEMORY_SIZE, use_cache=False, engine="interpreter"),
        ScriptedConsole(),
        machine=machine,
    )
    assert guest.run() == Outcome(Ending.POWER_OFF, 0x22)
    machine.audit([guest])
    guest.close()
    machine.close()
