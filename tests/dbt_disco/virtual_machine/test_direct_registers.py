"""The UART's registers that native code answers itself: guests must not notice, and their output must get out."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Literal

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import RESET, raw_image
from tests.runtime.system.bare_machine import BareMachine, Engine
from translator.state import Stop

MEMORY_SIZE = 4 << 20
START = 0x10_0000
TEXT = "twelve chars"
UART, LINE_STATUS = "0x900(r8)", "0x928(r8)"


def sending(text: str) -> list[str]:
    """Instructions that send a text as Linux's console does: character by character, looking before each."""
    lines = []
    for number, character in enumerate(text):
        lines += [f"send{number}:", f"lbu r10, {LINE_STATUS}", "andi r10, r10, 0x20"]
        lines += [f"beq r10, r0, send{number}", f"addiu r11, r0, {ord(character)}", f"sb r11, {UART}"]
    return lines


def virtual_machine(
    directory: Path, program: list[str], clock: Literal["host", "instructions"]
) -> VirtualMachine:
    image = directory / "program"
    image.write_bytes(raw_image("lui r8, 0xbf00", *program))
    configuration = Configuration(image, memory_size=MEMORY_SIZE, clock=clock, engine="interpreter")
    return VirtualMachine(configuration, ScriptedConsole())


@pytest.mark.parametrize("clock", ["host", "instructions"])
def test_what_is_sent_leaves_native_code_seldom(
    tmp_path: Path, clock: Literal["host", "instructions"]
) -> None:
    machine = virtual_machine(tmp_path, [*sending(TEXT * 10), *RESET], clock)
    assert machine.run() == Outcome(Ending.RESET)
    assert machine.console.output.decode() == TEXT * 10  # type: ignore[attr-defined]
    assert machine.vcpu.state.direct_accesses > 200
    assert machine.vcpu.stops[Stop.DEVICE] <= 10
    machine.close()


@pytest.mark.parametrize("clock", ["host", "instructions"])
def test_the_beginning_of_a_line_gets_out_while_the_guest_is_busy(
    tmp_path: Path, clock: Literal["host", "instructions"]
) -> None:
    machine = virtual_machine(tmp_path, [*sending(TEXT), "end:", "beq r0, r0, end", "nop"], clock)
    console = machine.console
    assert isinstance(console, ScriptedConsole)
    thread = threading.Thread(target=machine.run)
    thread.start()
    until = time.monotonic() + 30
    while console.text() != TEXT and time.monotonic() < until:
        time.sleep(0.01)
    machine.stop(Outcome(Ending.STOPPED))
    thread.join()
    machine.close()
    assert console.text() == TEXT


def test_a_monitor_call_writes_behind_what_was_sent_before(tmp_path: Path) -> None:
    """v0 = 1: console output; the text is the first word of memory."""
    call = ["addiu r2, r0, 1", "lui r4, 0x8000", "addiu r5, r0, 4", "hypcall"]
    machine = virtual_machine(tmp_path, [*sending("before "), *call, *RESET], "host")
    machine.memory.write(0, b"then")
    assert machine.run() == Outcome(Ending.RESET)
    assert machine.console.output == b"before then"  # type: ignore[attr-defined]
    machine.close()


def test_all_forms_of_the_accesses(tmp_path: Path) -> None:
    """In delay slots, with and without sign, to $zero, and of any byte of the eight."""
    machine = virtual_machine(
        tmp_path,
        [
            "addiu r11, r0, 0x41",
            f"sb r11, {UART}",
            "beq r0, r0, next",
            "sb r11, 0x905(r8)",
            "next:",
            f"lb r12, {LINE_STATUS}",
            "lbu r13, 0x92f(r8)",
            f"lb r0, {LINE_STATUS}",
            "beq r0, r0, last",
            f"lbu r14, {LINE_STATUS}",
            "last:",
            f"sb r0, {UART}",
            *RESET,
        ],
        "instructions",
    )
    assert machine.run() == Outcome(Ending.RESET)
    assert [machine.vcpu.state.gpr[number] for number in (0, 12, 13, 14)] == [0, 0x60, 0x60, 0x60]
    assert machine.console.output == b"AA\0"  # type: ignore[attr-defined]
    machine.close()


_LOADS = ("lb", "lbu", "lh", "lhu", "lw")
_STORES = ("sb", "sb", "sb", "sh", "sw")
_SIZE = {"b": 1, "h": 2, "w": 4}
_VALUES = {
    0: range(256),
    1: range(16),
    2: range(256),
    3: (3, 3, 3, 0x83),
    4: (0, 8, 0xB, 0x10),
    7: range(256),
}
"""Register → what is stored there: every mode of the UART comes and goes."""


def random_accesses(seed: int, count: int) -> list[str]:
    """Loads and stores of the UART's registers; what is loaded is folded into r20."""
    choices = random.Random(seed)
    lines = []
    for _ in range(count):
        if choices.random() < 0.5:
            mnemonic = choices.choice(_LOADS)
            register = choices.choice((5, 5, 5, 0, 1, 2, 3, 4, 6, 7))
            lines += ["", "sll r21, r20, 5", "srl r20, r20, 27", "or r20, r20, r21", "xor r20, r20, r10"]
            place = -5
        else:
            mnemonic = choices.choice(_STORES)
            register = choices.choice((0, 0, 0, 0, *_VALUES))
            lines += [f"addiu r10, r0, {choices.choice(_VALUES[register])}", ""]
            place = -1
        size = _SIZE[mnemonic.rstrip("u")[-1]]
        offset = 0x900 + 8 * register + choices.randrange(0, 8, size)
        lines[place] = f"{mnemonic} r10, {offset:#x}(r8)"
    return lines


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
def test_random_accesses_are_what_they_are_to_the_reference(big_endian: bool, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        program = ["lui r8, 0xbf00", *random_accesses(seed, 200), *RESET[1:]]
        results = [run(engine, program, big_endian) for engine in ("reference", "interpreter")]
        assert results[0][:2] == results[1][:2], f"seed {seed}"
        assert results[1][2] > 0, "nothing was done in native code"


def run(engine: Engine, program: list[str], big_endian: bool) -> tuple[list[int], bytes, int]:
    """Registers, output, and accesses done in native code."""
    machine = BareMachine(engine, big_endian=big_endian)
    try:
        machine.memory.write(START, raw_image(*program, big_endian=big_endian))
        machine.vcpu.state.pc = 0x8000_0000 | START
        assert machine.run() == "reset"
        state = machine.vcpu.state
        return list(state.gpr)[:32], bytes(machine.console.output), int(state.direct_accesses)
    finally:
        machine.close()
