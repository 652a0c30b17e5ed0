"""Monitor calls, beside what the image `monitor_calls` checks from inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dbt_disco.linux.errno_numbers import guest_errno
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.monitor_calls import INTERFACE_VERSION, MONITOR_CALLS, answer_monitor_call
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import HELLO
from translator.cp0_registers import Status

MEMORY_SIZE = 4 << 20
V0, V1, A0, A1 = 2, 3, 4, 5
ENOSYS, EFAULT, EINVAL = 89, 14, 22
"""As MIPS Linux numbers them."""

Call = Callable[..., int]


@pytest.fixture
def machine() -> Iterator[VirtualMachine]:
    machine = VirtualMachine(Configuration(HELLO, memory_size=MEMORY_SIZE), ScriptedConsole())
    yield machine
    machine.close()


@pytest.fixture
def call(machine: VirtualMachine) -> Call:
    def call(number: int, first: int = 0, second: int = 0) -> int:
        """v0, signed, after a call at pc, which must have been passed."""
        state = machine.vcpu.state
        state.gpr[V0], state.gpr[A0], state.gpr[A1] = number, first, second
        pc = state.pc
        answer_monitor_call(machine)
        assert state.pc == pc + 4
        value = state.gpr[V0]
        return value - (1 << 32) if value >> 31 else value

    return call


def test_version(call: Call) -> None:
    assert call(0) == INTERFACE_VERSION


@pytest.mark.parametrize("number", [len(MONITOR_CALLS), 1000, 0xFFFF_FFFF])
def test_unknown_calls(call: Call, number: int) -> None:
    assert guest_errno(38) == ENOSYS
    assert call(number) == -ENOSYS


def test_calls_are_counted_by_name_and_unknown_ones_together(machine: VirtualMachine, call: Call) -> None:
    for number in (0, 2, 2, 5, 6, 0xFFFF_FFFF, 99):
        call(number)
    assert machine.monitor_calls == {"version": 1, "time": 2, "free_page": 1, "unknown": 3}


def test_console_write_goes_through_the_tlb(machine: VirtualMachine, call: Call) -> None:
    """Two virtual pages in this order, the physical ones in the other; the third is not there."""
    state = machine.vcpu.state
    machine.memory.write(0x3000, b"second page".ljust(4096, b"."))
    machine.memory.write(0x5000, bytes(4090) + b"first ")
    state.tlb_hi[0], state.tlb_compared[0] = 0x0040_0000, 0xFFFF_E000
    state.tlb_lo0[0], state.tlb_lo1[0] = 5 << 6 | 3, 3 << 6 | 3
    assert call(1, 0x0040_0FFA, 17) == 0
    assert bytes(machine.console.output) == b"first second page"  # type: ignore[attr-defined]
    assert call(1, 0x0040_1FFF, 2) == -EFAULT
    assert call(1, 0x0040_1FFF, 1) == 0
    state.tlb_lo1[0] &= ~2  # not valid any more
    assert call(1, 0x0040_1FFF, 1) == -EFAULT


@pytest.mark.parametrize(
    ("address", "length", "error"),
    [
        (0x8000_0000 + MEMORY_SIZE - 1, 2, EFAULT),  # beyond memory
        (0xBF00_0900, 1, EFAULT),  # a device
        (0x0000_1000, 1, EFAULT),  # not mapped
        (0xC000_0000, 1, EFAULT),
        (0x8000_0000, 0xFFFF_FFFF, EINVAL),
    ],
)
def test_console_write_refused(
    machine: VirtualMachine, call: Call, address: int, length: int, error: int
) -> None:
    assert call(1, address, length) == -error
    assert machine.console.output == b""  # type: ignore[attr-defined]


def test_kernel_segments_are_the_kernels(machine: VirtualMachine, call: Call) -> None:
    """With coprocessor 0 usable, user mode may call, but not read what it could not load."""
    machine.vcpu.state.status = Status.UM | Status.CU0
    assert call(1, 0x8000_0000, 1) == -EFAULT


def test_time(machine: VirtualMachine, call: Call) -> None:
    def now() -> int:
        low = call(2) & 0xFFFF_FFFF
        return int(machine.vcpu.state.gpr[V1]) << 32 | low

    before = machine.surroundings.now()
    first, second = now(), now()
    assert before <= first <= second <= machine.surroundings.now()


@pytest.mark.parametrize("number", [4, 5])
def test_released_pages(machine: VirtualMachine, call: Call, number: int) -> None:
    machine.memory.write(0x8000, b"\1" * 0x3000)
    allocated = machine.machine.memory.allocated
    assert call(number, 0x9000) == 0
    assert machine.machine.memory.allocated == allocated - 1
    assert machine.memory.read(0x8000, 0x3000) == b"\1" * 0x1000 + bytes(0x1000) + b"\1" * 0x1000
    assert call(number, 0x9004) == -EINVAL
    assert call(number, MEMORY_SIZE) == -EFAULT
    assert call(number, 0xFFFF_F000) == -EFAULT


def test_power_off(machine: VirtualMachine, call: Call) -> None:
    call(3, 0x12A)
    assert machine.run() == Outcome(Ending.POWER_OFF, 0x2A)
    assert machine.console.output == b""  # type: ignore[attr-defined]  # nothing has been executed
