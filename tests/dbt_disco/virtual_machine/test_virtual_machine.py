"""Whole virtual machines running bare-metal programs, through the Python API."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.command_error import CommandError
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Clock, Configuration, Engine
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from dbt_disco.virtual_machine.virtual_machine import TooManyDevices, VirtualMachine
from runtime.system.machine_memory import OutOfMachineMemory
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import (
    ECHO,
    ENDLESS,
    HELLO,
    POLLING_ECHO,
    PREBUILT,
    RESET,
    monitor_call,
    raw_image,
)

MEMORY_SIZE = 4 << 20
TIMEOUT = 30
KERNEL = 0x10_0000
"""Physical address of a raw image."""


def written(tmp_path: Path, *lines: str, big_endian: bool = False) -> Path:
    """A file with a program."""
    path = tmp_path / "kernel"
    path.write_bytes(raw_image(*lines, big_endian=big_endian))
    return path


def run(configuration: Configuration) -> tuple[Outcome, bytes]:
    """Run to the end; with what the guest has written."""
    console = ScriptedConsole()
    machine = VirtualMachine(configuration, console)
    try:
        return machine.run(), console.output
    finally:
        machine.close()
        console.close()


@pytest.mark.parametrize("clock", ["host", "instructions"])
@pytest.mark.parametrize("byte_order", ["mipsel", "mips"])
def test_reset(byte_order: str, clock: Clock) -> None:
    outcome, output = run(Configuration(PREBUILT / byte_order / "system" / "hello", clock=clock))
    assert outcome == Outcome(Ending.RESET)
    assert outcome.exit_status == 0
    assert output == b"Hello from bare metal.\n"


def test_nothing_runs_after_the_reset(tmp_path: Path) -> None:
    """Not even up to the next branch."""
    lines = (
        "lui r8, 0xbf00",
        "addiu r9, r0, 0x42",
        "sw r9, 0x500(r8)",
        "sb r9, 0x900(r8)",
        "sb r9, 0x900(r8)",
    )
    assert run(Configuration(written(tmp_path, *lines), memory_size=MEMORY_SIZE)) == (
        Outcome(Ending.RESET),
        b"",
    )


@pytest.mark.parametrize("engine", ["auto", "translator", "interpreter"])
def test_a_device_writes_to_the_running_page(tmp_path: Path, engine: Engine) -> None:
    """An endless loop, translated by then, whose branch becomes a `nop`."""
    kernel = written(tmp_path, "loop:", "addiu r8, r8, 1", "beq r0, r0, loop", "nop", *monitor_call(3))
    guest = VirtualMachine(Configuration(kernel, memory_size=MEMORY_SIZE, engine=engine), ScriptedConsole())
    surroundings, vcpu = guest.surroundings, guest.vcpu
    assert isinstance(vcpu, SystemVcpu)

    def later(callback: Callable[[], None]) -> None:
        surroundings.call_at(surroundings.now() + 20_000_000, callback)

    def write_when_it_is_hot() -> None:
        if engine == "interpreter" or vcpu.translations.counts.installed:
            later(lambda: guest.memory.write(KERNEL + 4, bytes(4)))
        elif surroundings.now() < TIMEOUT * 1_000_000_000:
            later(write_when_it_is_hot)
        else:
            guest.end(Outcome(Ending.STOPPED))

    later(write_when_it_is_hot)
    assert guest.run().ending is Ending.POWER_OFF
    assert vcpu.state.gpr[8] > 1000
    guest.close()


@pytest.mark.parametrize("runs", [True, False], ids=["run", "proceed"])
def test_a_device_of_a_waiting_guest_finds_no_memory(tmp_path: Path, runs: bool) -> None:
    """The virtual machine fails, and says why: it is no error in the monitor."""
    kernel = written(tmp_path, *ENDLESS["waiting for a device that says nothing"])
    guest = VirtualMachine(Configuration(kernel, memory_size=MEMORY_SIZE), ScriptedConsole())

    def find_none() -> None:
        raise OutOfMachineMemory(1024, 1)

    guest.surroundings.call_at(0, find_none)
    if runs:
        outcome: Outcome | None = guest.run()
    else:
        outcome = None
        while outcome is None:
            outcome = guest.proceed()
            guest.vcpu.request_stop()
    assert outcome is not None and outcome.ending is Ending.FAILED
    assert outcome.reason.startswith("the machine's 4 MB are all in use")
    guest.close()


@pytest.mark.parametrize("mask", [0, 0x0300], ids=["none unmasked", "only software interrupts unmasked"])
@pytest.mark.parametrize("enable", [0, 1])
def test_halt(tmp_path: Path, mask: int, enable: int) -> None:
    kernel = written(tmp_path, f"ori r9, r0, {mask | enable:#x}", "mtc0.status r9", "nop", "wait", *RESET)
    outcome, _ = run(Configuration(kernel, memory_size=MEMORY_SIZE))
    assert outcome == Outcome(Ending.HALT)
    assert outcome.exit_status == 0


def test_power_off(tmp_path: Path) -> None:
    kernel = written(tmp_path, "addiu r4, r0, 77", *monitor_call(3), *RESET)
    outcome, _ = run(Configuration(kernel, memory_size=MEMORY_SIZE))
    assert outcome == Outcome(Ending.POWER_OFF, 77)
    assert outcome.exit_status == 77


def test_executing_no_memory(tmp_path: Path) -> None:
    kernel = written(tmp_path, "lui r8, 0xbf00", "jr r8", "nop")
    outcome, _ = run(Configuration(kernel, memory_size=MEMORY_SIZE))
    assert outcome.ending is Ending.FAILED
    assert "0x1f000000" in outcome.reason
    assert outcome.exit_status == 3


@pytest.mark.parametrize(
    ("engine", "clock"),
    [
        *(("interpreter", "host"), ("auto", "host"), ("translator", "host")),
        *(("auto", "instructions"), ("reference", "instructions")),
    ],
)
@pytest.mark.parametrize("what", ENDLESS)
def test_everything_can_be_stopped(tmp_path: Path, what: str, engine: Engine, clock: Clock) -> None:
    configuration = Configuration(
        written(tmp_path, *ENDLESS[what]), memory_size=MEMORY_SIZE, engine=engine, clock=clock
    )
    with RunningVirtualMachine(configuration) as guest:
        time.sleep(0.3)
        before = time.monotonic()
        guest.stop()
        assert time.monotonic() - before < 1
        assert guest.join(0).ending is Ending.STOPPED


def test_stop_before_the_run() -> None:
    console = ScriptedConsole()
    machine = VirtualMachine(Configuration(HELLO), console)
    machine.stop(Outcome(Ending.STOPPED, reason="not wanted"))
    assert machine.run() == Outcome(Ending.STOPPED, reason="not wanted")
    assert console.output == b""
    machine.close()


@pytest.mark.parametrize("program", [ECHO, POLLING_ECHO], ids=["waiting", "polling"])
@pytest.mark.parametrize("clock", ["host", "instructions"])
def test_every_character_comes_back(tmp_path: Path, program: tuple[str, ...], clock: Clock) -> None:
    """Characters at all moments between the guest's last look and its sleep."""
    kernel = written(tmp_path, *program)
    with RunningVirtualMachine(Configuration(kernel, memory_size=MEMORY_SIZE, clock=clock)) as guest:
        for number in range(1500):
            character = chr(ord("A") + number % 26)
            guest.console.send(character)
            assert guest.console.wait_for(character, TIMEOUT) == character
        guest.console.send("quit")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)


def test_big_endian(tmp_path: Path) -> None:
    kernel = written(tmp_path, *ECHO, big_endian=True)
    with RunningVirtualMachine(Configuration(kernel, memory_size=MEMORY_SIZE, big_endian=True)) as guest:
        guest.console.send("abcq")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        assert guest.console.text() == "abcq"


def test_big_endian_virtio_registers(tmp_path: Path) -> None:
    """Words are the wrong way round for a big-endian CPU, bytes of the configuration are where they are."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(0x1234 * 512))
    program = (
        "lui r8, 0xbf01",
        "lw r4, 0(r8)",  # MagicValue: "virt"
        "lbu r5, 0x100(r8)",  # the capacity's lowest byte
        "lbu r6, 0x101(r8)",
        "lw r7, 0x100(r8)",
        "lhu r9, 0x100(r8)",
    )
    for big_endian, expected in (
        (False, [0x7472_6976, 0x34, 0x12, 0x1234, 0x1234]),
        (True, [0x7669_7274, 0x34, 0x12, 0x3412_0000, 0x3412]),
    ):
        kernel = written(tmp_path, *program, *monitor_call(3), big_endian=big_endian)
        machine = VirtualMachine(
            Configuration(kernel, memory_size=MEMORY_SIZE, big_endian=big_endian, drives=(Drive(disk),)),
            ScriptedConsole(),
        )
        assert machine.run().ending is Ending.POWER_OFF
        assert [machine.vcpu.state.gpr[number] for number in (4, 5, 6, 7, 9)] == expected
        machine.close()


def test_the_instruction_clock_repeats_itself(tmp_path: Path) -> None:
    """With input typed at a time of the guest's, and answers to its output."""

    def one() -> tuple[bytes, int, int]:
        console = ScriptedConsole()
        console.type_at(5_000_000, "b")
        console.answer("b", "c")
        console.answer("c", "q")
        machine = VirtualMachine(
            Configuration(written(tmp_path, *ECHO), memory_size=MEMORY_SIZE, clock="instructions"), console
        )
        console.start(machine.surroundings)
        assert machine.run() == Outcome(Ending.RESET)
        result = (console.output, machine.vcpu.state.clock, machine.vcpu.count())
        machine.close()
        return result

    first = one()
    assert first[0] == b"bcq"
    assert first[1] > 16 * 1_600_000  # 5 ms
    assert one() == first


def test_two_at_once(tmp_path: Path) -> None:
    """Two byte orders, in one process, each on its thread."""
    guests = []
    for big_endian in (False, True, False):
        kernel = tmp_path / f"kernel{len(guests)}"
        kernel.write_bytes(raw_image(*ECHO, big_endian=big_endian))
        guests.append(
            RunningVirtualMachine(Configuration(kernel, memory_size=MEMORY_SIZE, big_endian=big_endian))
        )
    for guest in guests:
        guest.start()
    for number in range(300):
        for guest in guests:
            guest.console.send(chr(ord("A") + number % 26))
        for guest in guests:
            guest.console.wait_for(chr(ord("A") + number % 26), TIMEOUT)
    for guest in guests:
        guest.console.send("q")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        guest.close()


def test_one_after_the_other_on_one_thread() -> None:
    machines = [VirtualMachine(Configuration(HELLO), ScriptedConsole()) for _ in range(3)]
    assert [machine.run() for machine in machines] == [Outcome(Ending.RESET)] * 3
    for machine in machines:
        machine.close()


STORES = ("lui r8, 0x8011", "lw r9, 0(r8)", "sw r4, 0(r8)", "lw r10, 0(r8)", *monitor_call(3))
"""Stores to a page of its own image."""


def test_images_are_shared_until_they_are_stored_to(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(raw_image(*STORES).ljust(0x1_0000, b"\0") + b"\1" * 0x1_0800)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"\2" * 0x8000)
    configuration = Configuration(kernel, initrd, memory_size=MEMORY_SIZE)
    machine = Machine(2 * MEMORY_SIZE)
    one = VirtualMachine(configuration, ScriptedConsole(), machine=machine)
    alone = machine.memory.allocated
    other = VirtualMachine(configuration, ScriptedConsole(), machine=machine)
    assert (
        machine.memory.allocated - alone < 33
    )  # the images have 40 pages; devices tree and neighbours are its own
    shared = [0x100, 0x107, 0x110, 0x11F]
    assert [one.memory.pmap[frame] for frame in shared] == [other.memory.pmap[frame] for frame in shared]
    for vm in (one, other):
        assert vm.memory.read(0x11_0000, 0x1_0800) == b"\1" * 0x1_0800
    assert one.run().ending is Ending.POWER_OFF
    assert one.vcpu.state.gpr[9] == 0x0101_0101
    assert one.vcpu.state.gpr[10] == 0xFFFF_FFFE
    assert one.memory.copied == 1
    assert one.memory.read(0x11_0000, 4) == b"\xfe\xff\xff\xff"
    assert other.memory.read(0x11_0000, 4) == b"\1" * 4
    assert other.run().ending is Ending.POWER_OFF
    assert other.vcpu.state.gpr[9] == 0x0101_0101
    one.close()
    assert other.memory.read(0x11_0004, 4) == b"\1" * 4
    other.close()
    machine.close()


def test_a_changed_image_is_read_again(tmp_path: Path) -> None:
    machine = Machine(3 * MEMORY_SIZE)
    kernel = tmp_path / "kernel"
    for number in (1, 2):
        kernel.write_bytes(raw_image(*STORES).ljust(0x2000, bytes((number,))))
        guest = VirtualMachine(
            Configuration(kernel, memory_size=MEMORY_SIZE), ScriptedConsole(), machine=machine
        )
        assert guest.memory.read(0x10_1000, 1) == bytes((number,))
        guest.close()
    machine.close()


def test_close_gives_all_pages_back() -> None:
    machine = Machine(64 << 20)
    for _ in range(3):
        guest = VirtualMachine(
            Configuration(HELLO, memory_size=MEMORY_SIZE), ScriptedConsole(), machine=machine
        )
        assert guest.run() == Outcome(Ending.RESET)
        guest.close()
        assert machine.memory.allocated <= 1  # what the images keep
    machine.close()


def test_too_many_devices(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512))
    with pytest.raises(TooManyDevices):
        VirtualMachine(Configuration(HELLO, drives=(Drive(disk),) * 17), ScriptedConsole())


def test_the_reference_engine_has_no_host_clock() -> None:
    with pytest.raises(CommandError, match="--clock instructions"):
        VirtualMachine(Configuration(HELLO, engine="reference"), ScriptedConsole())


def test_reference_engine(tmp_path: Path) -> None:
    kernel = written(tmp_path, *ECHO)
    console = ScriptedConsole()
    console.type_at(1000, "abq")
    machine = VirtualMachine(
        Configuration(kernel, memory_size=MEMORY_SIZE, engine="reference", clock="instructions"), console
    )
    console.start(machine.surroundings)
    assert machine.run() == Outcome(Ending.RESET)
    assert console.output == b"abq"
    machine.close()
