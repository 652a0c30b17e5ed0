"""Every bare-metal image on every machine: all its checks pass, and the console is the same everywhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.system.machines import BootCommand, QemuMalta, SystemMachine

GUESTS = Path(__file__).parents[3] / "guests"
IMAGES = sorted(path.stem for path in (GUESTS / "system").glob("*.[cS]"))
MACHINES = ("qemu", "interpreter", "auto", "translator")
"""QEMU and engines of ours, by name. The translator follows the host's clock, the others count instructions."""

TRANSLATED_QUICKLY = ("hot_loops", "self_modifying", "stores_to_code", "tlb_own_page", "user_loops")
"""Images that the translator runs by default: those about regions, their pages and windows. The rest is slow."""

NOT_ON_QEMU = {
    "boot_memory": "QEMU's Malta has a ROM there",
    "cache_addresses": "QEMU 7.2's cache looks at no address",
    "constant_branches": "QEMU 7.2 takes a branch that cannot be taken for a nop, so that nothing is in its slot",
    "coprocessor_two": "QEMU 7.2 raises reserved instruction for most of coprocessor 2",
    "entry_state": "QEMU's Malta passes arguments as YAMON does",
    "halt": "QEMU's Malta waits for ever",
    "monitor_call_power_off": "QEMU has no monitor calls",
    "monitor_calls": "QEMU has no monitor calls",
    "nullified_slot_unmapped": "QEMU 7.2 fetches the slot with its branch",
    "platform_cpu": "QEMU 7.2's 24Kf has other options",
    "privileged_page": "QEMU has no privileged-register page",
    "synci_addresses": "QEMU 7.2's synci looks at no address",
    "tlb_overlap": "QEMU 7.2 goes on using an entry after a lower one has come to match",
    "tlb_rewrite_in_place": "QEMU 7.2 raises modified and invalid for entries that tlbwr has replaced",
    "unaligned_fetch_unmapped": "QEMU 7.2 looks for the page first, and its 24Kf has MIPS16",
    "unaligned_store_conditional": "QEMU 7.2's sc fails without looking at the address",
    "wait_with_interrupts_disabled": "QEMU 7.2 waits for an interrupt that it can take",
}
"""Images that do not end on QEMU 7.2 as the manual or DESIGN says, and why."""

QEMU_OPTIONS = {
    "no_fpu": "-cpu 24Kc",
    "self_modifying_next": "-cpu 24Kf -singlestep",  # else it finishes its translated block with what there was
    "user_local": "-cpu P5600",  # 24Kf has none
}
"""What QEMU needs to run some images as the manual says."""

OUR_OPTIONS = {"no_fpu": "--cpu 24Kc"}
"""The same for our machine."""

PRINTED = {
    "halt": ["Halting."],
    "hello": ["Hello from bare metal."],
    "monitor_calls": ["Said by a monitor call."] * 2,
    "uart": ["123456789"],
}
"""The lines that images print before their totals."""

CHECKS = tomllib.loads(Path(__file__).with_name("checks.toml").read_text())

WITHOUT_TOTALS = ("halt", "hello", "monitor_call_power_off")
"""Images too small to count what they check."""

STATUS = {"monitor_call_power_off": 42}
"""Exit statuses other than 0."""

RUNS = [
    pytest.param(
        name,
        machine,
        marks=pytest.mark.slow if machine == "translator" and name not in TRANSLATED_QUICKLY else (),
    )
    for name in IMAGES
    for machine in MACHINES
]
"""Every image on every machine."""


@pytest.fixture
def machine(request: pytest.FixtureRequest, name: str, program: Callable[[str], str]) -> SystemMachine:
    """The machine of a name in MACHINES, as the image called `name` needs it."""
    if request.param != "qemu":
        clock = "host" if request.param == "translator" else "instructions"
        return BootCommand(request.param, OUR_OPTIONS.get(name, ""), clock)
    if name in NOT_ON_QEMU:
        pytest.skip(NOT_ON_QEMU[name])
    options = QEMU_OPTIONS.get(name, "-cpu 24Kf")
    return QemuMalta(program("qemu-system-mipsel"), program("qemu-system-mips"), options)


@pytest.mark.parametrize("endianness", ["mipsel", "mips"])
@pytest.mark.parametrize(("name", "machine"), RUNS, indirect=["machine"])
def test_image(name: str, endianness: str, machine: SystemMachine) -> None:
    ending = machine.run(GUESTS / "prebuilt" / endianness / "system" / name, endianness == "mips")
    console = ending.console.decode("ascii", "backslashreplace")
    lines = console.splitlines()
    assert ending.status == STATUS.get(name, 0), console
    if name not in WITHOUT_TOTALS:
        totals = re.fullmatch("([1-9][0-9]*) passed, 0 failed", lines.pop())
        assert totals, console
        assert int(totals[1]) == CHECKS.get(name, int(totals[1]))
    assert lines == PRINTED.get(name, []), console
