"""Virtual machines on one machine: they share the pages of what they boot, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import PREBUILT, monitor_call, raw_image
from translator.state import Stop

MEMORY_SIZE = 4 << 20
TIMEOUT = 200
PROMPT = "root@debian:~# "
KERNEL_FRAMES = range(0x100, 0x121)
"""A kernel of 33 pages at 1 MB."""
STORED_TO = 0x110

STORES = ("lui r8, 0x8011", "lw r9, 0(r8)", "sw r4, 0(r8)", "lw r10, 0(r8)", *monitor_call(3))
"""Loads, stores and loads a word of the page STORED_TO, then powers off."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(8 * MEMORY_SIZE)
    yield machine
    machine.close()


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(raw_image(*STORES).ljust(0x1_0000, b"\0") + b"\1" * 0x1_1000)
    initrd.write_bytes(b"\2" * 0x8000)
    return Configuration(kernel, initrd, memory_size=MEMORY_SIZE)


def pages(guest: VirtualMachine, frames: range) -> list[int]:
    """The machine pages of some physical pages."""
    memory = guest.memory
    return [memory.machine.page_at(memory.host_address(frame << 12)) for frame in frames]


def initrd_frames(guest: VirtualMachine) -> range:
    """Where the initrd is: its bytes are nowhere else."""
    found = [f for f in guest.memory.frames() if guest.memory.read(f << 12, 4096) == b"\2" * 4096]
    return range(found[0], found[-1] + 1)


def test_pages_of_kernel_and_initrd_are_shared(machine: Machine, configuration: Configuration) -> None:
    guests = [VirtualMachine(configuration, ScriptedConsole(), machine=machine) for _ in range(3)]
    frames = initrd_frames(guests[0])
    assert len(frames) == 8
    for shared in (KERNEL_FRAMES, frames):
        numbers = pages(guests[0], shared)
        assert len(set(numbers)) == len(shared)
        assert all(pages(guest, shared) == numbers for guest in guests)
        assert {machine.memory.users[page] for page in numbers} == {len(guests) + 1}  # and who keeps them
    others = [{*pages(guest, range(0x130, 0x140))} for guest in guests]
    assert not set.intersection(*others)
    for guest in guests:
        guest.close()


def test_a_page_is_private_after_the_first_store(machine: Machine, configuration: Configuration) -> None:
    one, other = (VirtualMachine(configuration, ScriptedConsole(), machine=machine) for _ in range(2))
    before = pages(other, KERNEL_FRAMES)
    stored = STORED_TO - KERNEL_FRAMES.start
    assert one.run().ending is Ending.POWER_OFF
    assert one.vcpu.state.gpr[9] == 0x0101_0101
    assert one.vcpu.state.gpr[10] == 0xFFFF_FFFE
    after = pages(one, KERNEL_FRAMES)
    assert [number for number in range(len(after)) if after[number] != before[number]] == [stored]
    assert one.memory.copied == 1
    assert (machine.memory.users[before[stored]], machine.memory.users[after[stored]]) == (2, 1)
    # The other one sees nothing of it, neither from outside nor when it loads.
    assert pages(other, KERNEL_FRAMES) == before
    assert one.memory.read(STORED_TO << 12, 8) == b"\xfe\xff\xff\xff\1\1\1\1"
    assert other.memory.read(STORED_TO << 12, 4096) == b"\1" * 4096
    assert other.run().ending is Ending.POWER_OFF
    assert other.vcpu.state.gpr[9] == 0x0101_0101
    third = VirtualMachine(configuration, ScriptedConsole(), machine=machine)
    assert third.memory.read(STORED_TO << 12, 4096) == b"\1" * 4096
    for guest in (one, other, third):
        guest.close()


IN_TURN = (
    "lui r8, 0x8011",
    "addiu r9, r0, 14",
    "again:",
    "sw r9, 8(r8)",
    "addiu r9, r9, -1",
    "bne r9, r0, again",
    "addiu r8, r8, 0x1000",
    *monitor_call(3),
)
"""Stores to 14 pages from STORED_TO on, one after the other."""


def test_pages_that_are_stored_to_in_turn_are_copied_together(
    machine: Machine, configuration: Configuration, tmp_path: Path
) -> None:
    """Linux patches its text like that. What is copied beyond that is as it was, and what others have is, too."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*IN_TURN).ljust(0x1_0000, b"\0") + b"\1" * 0x1_1000)
    one, other = (VirtualMachine(configuration, ScriptedConsole(), machine=machine) for _ in range(2))
    before = pages(other, KERNEL_FRAMES)
    assert one.run().ending is Ending.POWER_OFF
    first = STORED_TO - KERNEL_FRAMES.start
    after = pages(one, KERNEL_FRAMES)
    assert isinstance(one.vcpu, SystemVcpu)
    assert one.vcpu.stops[Stop.COPY_ON_WRITE] == 5
    copied = [number for number in range(len(after)) if after[number] != before[number]]
    assert copied == list(range(first, first + 16))  # to the next multiple of 16
    assert one.memory.copied == 16
    assert pages(other, KERNEL_FRAMES) == before
    assert all(machine.memory.users[after[number]] == 1 for number in copied)
    for number in range(17):
        page = one.memory.read((STORED_TO + number) << 12, 4096)
        word = (14 - number).to_bytes(4, "little") if number < 14 else b"\1" * 4
        assert page == b"\1" * 8 + word + b"\1" * 4084, number
        assert other.memory.read((STORED_TO + number) << 12, 4096) == b"\1" * 4096
    assert other.run().ending is Ending.POWER_OFF
    assert other.memory.read(STORED_TO << 12, 12) == b"\1" * 8 + (14).to_bytes(4, "little")
    assert isinstance(other.vcpu, SystemVcpu)
    assert other.vcpu.stops[Stop.COPY_ON_WRITE] == 1, "it does what one has done"
    assert other.memory.copied == 16
    for number in range(len(after)):
        frame = KERNEL_FRAMES.start + number
        assert other.memory.read(frame << 12, 4096) == one.memory.read(frame << 12, 4096)
    assert not {*pages(other, range(STORED_TO, STORED_TO + 16))} & {*after, *before}
    for guest in (one, other):
        guest.close()


def test_a_device_that_stores_makes_the_page_private(machine: Machine, configuration: Configuration) -> None:
    """DMA goes the same way as stores."""
    one, other = (VirtualMachine(configuration, ScriptedConsole(), machine=machine) for _ in range(2))
    before = pages(other, KERNEL_FRAMES)
    one.memory.write((STORED_TO << 12) + 4094, b"\3\3\3\3")
    assert other.memory.read(STORED_TO << 12, 8192) == b"\1" * 8192
    assert one.memory.read((STORED_TO << 12) + 4094, 4) == b"\3\3\3\3"
    assert sum(mine != theirs for mine, theirs in zip(pages(one, KERNEL_FRAMES), before, strict=True)) == 2
    one.close()
    other.close()


def test_close_gives_pages_back(machine: Machine, configuration: Configuration) -> None:
    guests = [VirtualMachine(configuration, ScriptedConsole(), machine=machine) for _ in range(2)]
    kept = pages(guests[0], KERNEL_FRAMES) + pages(guests[0], initrd_frames(guests[0]))
    for guest in guests:
        assert guest.run().ending is Ending.POWER_OFF
    private = pages(guests[0], range(STORED_TO, STORED_TO + 1))[0]
    allocated = machine.memory.allocated
    guests[0].close()
    assert machine.memory.users[private] == 0
    assert machine.memory.allocated < allocated
    assert guests[1].memory.read(STORED_TO << 12, 8) == b"\xfe\xff\xff\xff\1\1\1\1"
    guests[1].close()
    assert {machine.memory.users[page] for page in kept} == {1}
    assert machine.memory.allocated == len(kept)


def test_decoded_code_is_not_shared(machine: Machine) -> None:
    """Engines, clocks and processors that differ, on the same pages, at once, one beginning where another ends."""
    image = PREBUILT / "mipsel" / "system" / "hot_loops"
    plain = Configuration(image, memory_size=MEMORY_SIZE)
    kinds = (
        plain,
        replace(plain, engine="interpreter"),
        replace(plain, clock="instructions"),
        replace(plain, count_instructions=True),
    )
    running: list[RunningVirtualMachine] = []
    for number in range(8):
        guest = RunningVirtualMachine(kinds[number % len(kinds)], machine=machine)
        guest.start()
        running.append(guest)
        if len(running) == 3:
            assert_passed(running.pop(0))
    for guest in running:
        assert_passed(guest)


def assert_passed(guest: RunningVirtualMachine) -> None:
    assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
    assert " passed, 0 failed" in guest.console.text()
    guest.close()


@pytest.mark.slow
def test_a_neighbour_goes_on_when_one_is_closed(debian: GuestFiles) -> None:
    """Two Debians share their kernel's pages; what one has translated of them goes with it."""
    machine = Machine(600 << 20)
    configuration = Configuration(
        debian.kernel,
        debian.initramfs,
        f"{DEBIAN_COMMAND_LINE} quiet",
        memory_size=128 << 20,
        drives=(Drive(debian.root_disk),),
    )
    command = (
        "for i in 1 2 3; do seq 1 20000 | awk '{ s += $1 } END { print s }'; done; python3 -c 'print(2**70)'"
    )
    guests: list[RunningVirtualMachine] = []
    for number in range(6):
        if number < 5:
            guests.append(RunningVirtualMachine(configuration, machine=machine))
            guests[-1].start()
        if number > 0:  # the one before has had some time to boot, the new one is about to
            guest = guests.pop(0)
            guest.console.wait_for(PROMPT, TIMEOUT)
            guest.console.send(f"{command}\n")
            shown = guest.console.wait_for(PROMPT, TIMEOUT)
            assert (shown.count("200010000"), shown.count(f"{2**70}")) == (3, 1)
            guest.close()
    machine.close()


def test_what_is_translated_for_one_is_translated_for_all(machine: Machine, tmp_path: Path) -> None:
    """The same loop in two virtual machines, one after the other: the second has nothing compiled."""
    kernel = tmp_path / "kernel"
    counting = ("lui r2, 0x40", "loop:", "addiu r2, r2, -1", "bne r2, r0, loop", "addiu r3, r3, 1")
    kernel.write_bytes(raw_image(*counting, "addu r4, r0, r0", *monitor_call(3)))
    configuration = Configuration(kernel, memory_size=MEMORY_SIZE, engine="translator", use_cache=False)
    compiled = []
    for _ in range(2):
        guest = VirtualMachine(configuration, ScriptedConsole(), machine=machine)
        assert guest.run() == Outcome(Ending.POWER_OFF, 0)
        compiled.append(guest.vcpu.translations.counts.compiled)  # type: ignore[union-attr]
        guest.close()
    assert compiled[0] > 0
    assert compiled[1] == 0
