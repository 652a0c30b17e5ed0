"""`--clock instructions`: Linux runs the same way every time and on every engine, bit by bit."""

from __future__ import annotations

import hashlib

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.lockstep.machine_comparison import registers_by_name, settle, translations_by_name
from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE

PROMPT = "/ # "


def digest(machine: VirtualMachine) -> str:
    """Of everything in a processor and its memory that the guest can see."""
    state, memory = machine.vcpu.state, machine.memory
    settle(state)
    hashed = hashlib.blake2b(repr(registers_by_name(state) | translations_by_name(state)).encode())
    for frame in memory.frames():
        page = memory.read(frame << MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE)
        if any(page):
            hashed.update(frame.to_bytes(4, "little") + page)
    return hashed.hexdigest()


def run(debian: GuestFiles, engine: Engine) -> tuple[bytes, int, str]:
    """Boot to the prompt, give some commands and reboot; the console, the time, and the final state."""
    configuration = Configuration(
        debian.kernel, debian.initramfs, DEBIAN_COMMAND_LINE, clock="instructions", engine=engine
    )
    console = ScriptedConsole()
    console.answer(PROMPT, "cat /proc/uptime /proc/sys/kernel/random/uuid; date\n")
    console.answer(PROMPT, "reboot -f\n")
    machine = VirtualMachine(configuration, console)
    try:
        console.start(machine.surroundings)
        assert machine.run() == Outcome(Ending.RESET)
        return console.output, machine.vcpu.state.clock, digest(machine)
    finally:
        machine.close()


def test_linux_runs_the_same_way_every_time(debian: GuestFiles) -> None:
    first = run(debian, "interpreter")
    assert b"2033" in first[0]
    for engine in ("interpreter", "auto", "auto"):
        assert run(debian, engine) == first, engine
