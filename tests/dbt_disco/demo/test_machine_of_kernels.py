"""Several of our own kernels at once, on one machine and one disk: right, kept apart, and smaller than they look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.demo.disk_image import PAGE_SIZE
from dbt_disco.demo.expected_report import checksum_line, report_of_all, volume_line
from dbt_disco.demo.guest_kernel import KERNEL, KernelStatus
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from tests.dbt_disco.demo.kernel_boot import VOLUME

TIMEOUT = 200
SECTORS, ROUNDS = 400, 30
KERNEL_TEXT_PAGES = 4
"""At least; they are shared as well."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(128 << 20, nodes=2)
    yield machine
    machine.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(VOLUME.image())
    return path


def machine_pages(guest: RunningVirtualMachine) -> set[int]:
    memory = guest.virtual_machine.memory
    return {memory.machine_page(frame) for frame in memory.frames()}


def start(
    machine: Machine, disk: Path, name: str, task: str, engine: Engine = "auto"
) -> RunningVirtualMachine:
    words = f"task={task} name={name} sectors={SECTORS} rounds={ROUNDS} kind=store"
    configuration = Configuration(
        KERNEL,
        command_line=words,
        memory_size=16 << 20,
        drives=[Drive(disk)],
        engine=engine,
        name=name,
    )
    guest = RunningVirtualMachine(configuration, machine=machine)
    guest.start()
    return guest


def results(guest: RunningVirtualMachine) -> list[str]:
    lines = guest.console.text().splitlines()
    return [line for line in lines if not line.startswith(("kernel: ", "statistics: "))]


def test_four_on_one_disk_of_which_one_crashes(machine: Machine, disk: Path) -> None:
    engines: dict[str, Engine] = {"vm1": "auto", "vm2": "interpreter", "vm3": "auto", "vm4": "translator"}
    crashing = "vm3"
    guests = {
        name: start(machine, disk, name, "checksum,crash" if name == crashing else "all", engine)
        for name, engine in engines.items()
    }
    outcomes = {name: guest.join(TIMEOUT) for name, guest in guests.items()}
    for name, guest in guests.items():
        if name != crashing:
            assert results(guest) == report_of_all(VOLUME, name, SECTORS, ROUNDS)
            assert outcomes[name] == Outcome(Ending.POWER_OFF, KernelStatus.DONE)
    *work, crash, panic = results(guests[crashing])
    assert work == [volume_line(VOLUME), *map(checksum_line, VOLUME.files)]
    assert crash == "crash: kind=store" and panic.startswith("panic: store to an address")
    assert outcomes[crashing] == Outcome(Ending.POWER_OFF, KernelStatus.PANIC)

    memories = [guest.virtual_machine.memory for guest in guests.values()]
    machine.audit([guest.virtual_machine for guest in guests.values()])
    once_for_all = sum(len(file.contents) // PAGE_SIZE for file in VOLUME.files) + KERNEL_TEXT_PAGES
    assert sum(memory.mapped for memory in memories) - machine.memory.allocated >= 3 * once_for_all
    for guest in guests.values():
        guest.close()
    assert disk.read_bytes() == VOLUME.image()


def test_one_that_is_nothing_but_noise_can_be_stopped(machine: Machine, disk: Path) -> None:
    """It has overwritten its memory, pages of the disk and kernel mapped into it among them; the next one is right."""
    words = "task=checksum,crash kind=noise"
    configuration = Configuration(KERNEL, command_line=words, memory_size=8 << 20, drives=[Drive(disk)])
    with RunningVirtualMachine(configuration, machine=machine) as noisy:
        noisy.console.wait_for("kind=noise\n", TIMEOUT)
        other = start(machine, disk, "vm", "all")
        assert other.join(TIMEOUT).status == KernelStatus.DONE
        assert results(other) == report_of_all(VOLUME, "vm", SECTORS, ROUNDS)
    again = start(machine, disk, "vm", "all")
    assert again.join(TIMEOUT).status == KernelStatus.DONE
    assert results(again) == results(other)
    machine.audit([other.virtual_machine, again.virtual_machine])
    for guest in (other, again):
        guest.close()


def test_a_read_for_which_the_machine_has_no_memory_ends_the_reader(disk: Path) -> None:
    """It is no input/output error, which the guest would think was the disk's."""
    machine = Machine(2 << 20)
    guest = start(machine, disk, "vm", "checksum")
    outcome = guest.join(TIMEOUT)
    assert outcome.ending is Ending.FAILED
    assert outcome.reason.startswith("the machine's 3 MB are all in use")
    assert "error" not in guest.console.text()
    machine.audit([guest.virtual_machine])
    guest.close()
    machine.close()


def test_nobody_finds_what_another_has_left(disk: Path) -> None:
    """In all memory it gets, also of one that has died, and in all sectors of the disk."""
    machine = Machine(40 << 20)  # two and a half of them
    secretive = start(machine, disk, "vm1", "plant")
    assert secretive.join(TIMEOUT).status == KernelStatus.DONE
    used = machine_pages(secretive)
    beside = start(machine, disk, "vm1", "search")  # of the same name, and so looking for that secret
    assert beside.join(TIMEOUT).status == KernelStatus.DONE
    secretive.close()
    again = start(machine, disk, "vm1", "search")
    assert again.join(TIMEOUT).status == KernelStatus.DONE
    assert len(used & machine_pages(again)) > 1000
    assert "search: bytes=" in again.console.text()
    machine.audit([beside.virtual_machine, again.virtual_machine])
    for guest in (beside, again):
        guest.close()
    machine.close()


def test_what_one_has_left_is_found_by_itself(machine: Machine, disk: Path) -> None:
    guest = start(machine, disk, "vm1", "plant,search")
    assert guest.join(TIMEOUT).status == KernelStatus.FAILED
    found = re.search(
        r"the secret is (\d+) times in memory and (\d+) times on the disk\n", guest.console.text()
    )
    assert found is not None
    assert int(found[1]) > 12 << 20 >> 4
    assert int(found[2]) == VOLUME.scratch_pages * PAGE_SIZE // 16
    guest.close()
