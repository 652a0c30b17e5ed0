"""Two virtual machines in lockstep: whatever differs between them is found, and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dbt_disco.lockstep.machine_difference import MachineDifference
from dbt_disco.lockstep.machine_lockstep import MachineLockstep
from tests.conformance.system_random.kernels import KernelMachine, random_kernel

BEFORE = 1000
AFTER = 1200
SEED = 3
FAR = 0x00F0_0000
"""Physical address of memory that the kernel has no business with."""


def _change_register(machine: KernelMachine) -> None:
    machine.vcpu.state.user_local ^= 4


def _change_float(machine: KernelMachine) -> None:
    machine.vcpu.state.fpr[31] ^= 1 << 63


def _change_tlb(machine: KernelMachine) -> None:
    machine.vcpu.state.tlb_lo0[40] ^= 2


def _change_time(machine: KernelMachine) -> None:
    machine.vcpu.state.compare_ticks += 1


def _change_memory(machine: KernelMachine) -> None:
    machine.memory.write(FAR, b"\1")


CHANGES: dict[str, Callable[[KernelMachine], None]] = {
    "user_local": _change_register,
    "fpr[31]": _change_float,
    "tlb_lo0[40]": _change_tlb,
    "compare_ticks": _change_time,
    f"memory at {FAR:#010x}": _change_memory,
}
"""What is named → what makes it differ."""


@pytest.fixture
def machines() -> Iterator[tuple[KernelMachine, KernelMachine]]:
    kernel = random_kernel(SEED, AFTER)
    leader, follower = KernelMachine(kernel, "reference"), KernelMachine(kernel, "interpreter")
    yield leader, follower
    leader.close()
    follower.close()


@pytest.mark.parametrize("name", CHANGES)
def test_a_difference_is_found(name: str, machines: tuple[KernelMachine, KernelMachine]) -> None:
    lockstep = MachineLockstep(*machines, ("reference", "interpreter"))
    assert lockstep.run(BEFORE) is None
    CHANGES[name](machines[1])
    with pytest.raises(MachineDifference) as raised:
        lockstep.run(AFTER)
    difference = raised.value
    assert name in str(difference).partition(": ")[2].partition(": ")[2].split(", ")
    assert "<-- differs" in difference.report() or difference.memory
    assert difference.before["instructions"] >= BEFORE


def test_a_block_at_a_time_takes_the_reference_engine(machines: tuple[KernelMachine, KernelMachine]) -> None:
    with pytest.raises(ValueError, match="only the reference engine"):
        MachineLockstep(machines[1], machines[0], ("interpreter", "reference"))
