"""Instructions that a region begins with, executed otherwise than as its beginning."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from runtime.system.installed_regions import InstalledRegion
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.virtual_machine.bare_programs import monitor_call, raw_image

TIMEOUT = 60
CODE = 0x2_0000
"""Offset in the image of a page that starts at 0x80120000; the pages behind it follow."""

COPY = ("sw r9, 0(r4)", "addiu r4, r4, 4", "addiu r5, r5, 4", "lw r9, 0(r5)", "addiu r6, r6, -1")
CALL_BOTH = (
    *("lui r16, 0x8012", "jalr r31, r16", "nop", "sll r17, r2, 4"),
    *("addiu r16, r16, 0x20", "jalr r31, r16", "nop", "addu r19, r17, r2"),
)
STORE_TO_CODE = (
    *CALL_BOTH,
    "lui r8, 0xbf00",
    "again:",  # copy 48 KB of the new functions and what is behind them, to where no code is
    "lui r4, 0x8014",
    "ori r6, r0, 0x3000",
    "copy:",
    "lui r5, 0x8012",
    "ori r5, r5, 0x1000",
    "lw r9, 0(r5)",
    "loop:",
    *COPY,
    "bne r6, r0, loop",
    "nop",
    "bne r20, r0, copied",
    "nop",
    "lbu r10, 0x928(r8)",
    "andi r10, r10, 1",
    "beq r10, r0, again",
    "nop",
    "lui r4, 0x8012",  # now 16 words, over the old functions
    "addiu r20, r0, 1",
    "beq r0, r0, copy",
    "addiu r6, r0, 16",
    "copied:",
    *CALL_BOTH,
    "addu r4, r19, r0",
    *monitor_call(3),
)
"""The loop begins with a store; what it stores to at last is code that has been executed."""

SLOT_ON_NEXT_PAGE = (
    "lui r8, 0xbf00",
    "again:",
    "lui r16, 0x8012",
    "ori r16, r16, 0x1000",
    "addu r2, r0, r0",
    "ori r3, r0, 0x4000",
    "jalr r31, r16",
    "nop",
    "lbu r10, 0x928(r8)",
    "andi r10, r10, 1",
    "beq r10, r0, again",
    "nop",
    "lw r9, 0x100(r16)",  # a `jr` that was not there before, in front of the loop
    "sw r9, -4(r16)",
    "addiu r2, r0, 5",
    "addiu r16, r16, -4",
    "jalr r31, r16",
    "nop",
    "addu r4, r2, r0",
    *monitor_call(3),
)
COUNTING = ("loop:", "addiu r2, r2, 1", "bne r2, r3, loop", "nop", "jr r31", "nop")


def function(result: int) -> bytes:
    return raw_image("jr r31", f"addiu r2, r0, {result}").ljust(0x20, b"\0")


def run_until_hot(kernel: Path, engine: Engine) -> Outcome:
    """Type something when the guest's loop has been translated, if it ever is."""
    with RunningVirtualMachine(Configuration(kernel, memory_size=4 << 20, engine=engine)) as guest:
        deadline = time.monotonic() + TIMEOUT
        while engine == "auto" and not guest.virtual_machine.vcpu.translations.counts.installed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        guest.console.send("x")
        return guest.join(TIMEOUT)


@pytest.mark.parametrize("engine", ["interpreter", "auto", "translator"])
def test_a_loop_that_begins_with_a_store_to_code(tmp_path: Path, engine: Engine) -> None:
    kernel = tmp_path / "kernel"
    old, new = function(1) + function(2), function(3) + function(4)
    kernel.write_bytes(raw_image(*STORE_TO_CODE).ljust(CODE, b"\0") + old.ljust(0x1000, b"\0") + new)
    assert run_until_hot(kernel, engine) == Outcome(Ending.POWER_OFF, 0x34)


@pytest.mark.parametrize("engine", ["interpreter", "auto", "translator"])
def test_a_loop_whose_beginning_becomes_a_delay_slot(tmp_path: Path, engine: Engine) -> None:
    """The branch is on the page before, which is written to while the loop's page is not."""
    kernel = tmp_path / "kernel"
    loop = raw_image(*COUNTING).ljust(0x100, b"\0") + raw_image("jr r31")
    kernel.write_bytes(raw_image(*SLOT_ON_NEXT_PAGE).ljust(CODE + 0x1000, b"\0") + loop)
    assert run_until_hot(kernel, engine) == Outcome(Ending.POWER_OFF, 6)


ALIASES = 20
"""Virtual pages that have the loop: more than an entry has regions."""
KSEG2, KUSEG = 0xC000_0000, 0x1000_0000


def many_addresses(first: int) -> tuple[str, ...]:
    """Maps the loop's page at every other page from `first` on; calls the loop at each, in turn, until something is
    typed."""
    return (
        *(f"lui r8, {first >> 16:#x}", "addu r9, r0, r0", "mtc0.page_mask r0"),
        *("ori r10, r0, 0x4807", "ori r11, r0, 1"),  # 0x120 << 6 | D, V, G
        *("mtc0.entry_lo0 r10", "mtc0.entry_lo1 r11", f"ori r12, r0, {ALIASES}"),
        "map:",
        *("mtc0.entry_hi r8", "mtc0.index r9", "tlbwi", "addiu r9, r9, 1", "bne r9, r12, map"),
        "addiu r8, r8, 0x2000",
        *("mtc0.status r0", "ori r3, r0, 0x4000", "lui r15, 0xbf00"),
        "again:",
        *(f"lui r16, {first >> 16:#x}", "addu r9, r0, r0"),
        "call:",
        *("addu r2, r0, r0", "jalr r31, r16", "nop", "bne r2, r3, wrong", "addiu r9, r9, 1"),
        *("bne r9, r12, call", "addiu r16, r16, 0x2000"),
        *("lbu r10, 0x928(r15)", "andi r10, r10, 1", "beq r10, r0, again", "nop"),
        *("addiu r4, r0, 7", *monitor_call(3)),
        "wrong:",
        *("addiu r4, r0, 1", *monitor_call(3)),
    )


@contextmanager
def calling(tmp_path: Path, first: int) -> Iterator[RunningVirtualMachine]:
    """A guest that calls the loop."""
    kernel = tmp_path / "kernel"
    image = raw_image(*many_addresses(first)).ljust(CODE, b"\0") + raw_image(*COUNTING).ljust(0x1000, b"\0")
    kernel.write_bytes(image)
    machine = Machine(16 << 20)
    configuration = Configuration(kernel, memory_size=4 << 20, use_cache=False, count_instructions=True)
    with RunningVirtualMachine(configuration, machine=machine) as guest:
        yield guest
        guest.console.send("x")
        assert guest.join(TIMEOUT) == Outcome(Ending.POWER_OFF, 7)
        machine.audit([guest.virtual_machine])
    machine.close()


def chains(guest: RunningVirtualMachine, first: int, addresses: int) -> Iterator[list[InstalledRegion]]:
    """What the loop's entries lead to, looked at until it has been translated at so many addresses."""
    mapped = {first + 0x2000 * number for number in range(ALIASES)}
    vcpu = guest.virtual_machine.vcpu
    assert isinstance(vcpu, SystemVcpu)
    seen: set[int] = set()
    deadline = time.monotonic() + TIMEOUT
    while len(seen) < addresses:
        assert time.monotonic() < deadline, seen
        with vcpu.memory.machine.lock:
            found = [list(chain) for chain in vcpu.variant.regions.entered.values()]
        for chain in found:
            here = {region.translation.seed & ~0xFFF for region in chain} & mapped
            seen |= here
            if here:
                yield chain
        time.sleep(0.01)


def test_a_kernel_loop_at_many_addresses(tmp_path: Path) -> None:
    """Each gets a region of its own, in the chain of the same entry, from which the first ones go at last."""
    with calling(tmp_path, KSEG2) as guest:
        assert max(map(len, chains(guest, KSEG2, ALIASES))) == 16


def test_a_user_loop_at_many_addresses(tmp_path: Path) -> None:
    """There is one region, which executes most of the instructions at all of them."""
    start = time.monotonic()
    with calling(tmp_path, KUSEG) as guest:
        assert all(len(chain) == 1 for chain in chains(guest, KUSEG, 1))
        time.sleep(time.monotonic() - start + 0.5)  # longer than everything was executed in tier 0
    state = guest.virtual_machine.vcpu.state
    assert state.translated_clock > state.clock // 2
