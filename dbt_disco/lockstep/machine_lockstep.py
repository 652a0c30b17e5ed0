"""Two virtual machines side by side on different engines, each with memory and devices of its own.

Under the instruction clock a machine is a function of its inputs, so nothing has to be carried from one to the other:
after the same number of instructions everything must be the same.
"""

from __future__ import annotations

import ctypes
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from dbt_disco.lockstep.machine_comparison import (
    are_equal,
    differing_frames,
    registers_by_name,
    settle,
    translations_by_name,
)
from dbt_disco.lockstep.machine_difference import MachineDifference
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.reference_cpu import CLOCK_PER_INSTRUCTION
from translator.state import CpuState

if TYPE_CHECKING:
    from runtime.system.physical_memory import PhysicalMemory
    from runtime.system.reference.vcpu import ReferenceVcpu
    from runtime.system.vcpu import SystemVcpu

_REMEMBERED: Final = 4096
"""Instructions of a stretch that are remembered at most."""
_SHOWN_BYTES: Final = 16
_MEMORY_INTERVAL: Final = 500_000
"""Instructions after which memories are compared."""


class SteppedMachine(Protocol):
    """A virtual machine under the instruction clock, run turn by turn."""

    @property
    def vcpu(self) -> SystemVcpu | ReferenceVcpu: ...

    @property
    def memory(self) -> PhysicalMemory: ...

    def turn(self, limit: int) -> object | None:
        """Run the vCPU until its clock is `limit` or it stops for something, and deal with that.

        Time that is skipped while the guest idles may go beyond `limit`. The result says how the machine has ended;
        None if it goes on.
        """


class MachineLockstep:
    """The leader runs a stretch, the follower as far; then both must be the same."""

    def __init__(
        self, leader: SteppedMachine, follower: SteppedMachine, names: tuple[str, str], *, stretch: int = 0
    ) -> None:
        """`stretch` is a number of instructions; 0: a block, which takes the reference engine as leader."""
        self.leader: Final = leader
        self.follower: Final = follower
        self._names: Final = names
        self._stretch: Final = stretch
        self._before: Final = CpuState()
        self._executed: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        for machine in (leader, follower):
            if hasattr(machine.vcpu, "executed"):
                machine.vcpu.executed = self._executed
        if not stretch:
            if not hasattr(leader.vcpu, "ends_at_branches"):
                raise ValueError("only the reference engine can lead block by block")
            leader.vcpu.ends_at_branches = True
        self._memory_due = _MEMORY_INTERVAL * CLOCK_PER_INSTRUCTION

    def run(self, instructions: int) -> object | None:
        """Until both have executed so many since their start, or ended; then how they have.

        Raises MachineDifference.
        """
        clock = instructions * CLOCK_PER_INSTRUCTION
        ending = None
        while ending is None and self.leader.vcpu.state.clock < clock:
            ending = self._run_stretch(clock)
            if self.leader.vcpu.state.clock >= self._memory_due:
                self.compare_memory()
        self.compare_memory()
        return ending

    def _run_stretch(self, limit: int) -> object | None:
        leading, following = self.leader.vcpu.state, self.follower.vcpu.state
        settle(leading)
        ctypes.memmove(ctypes.addressof(self._before), ctypes.addressof(leading), ctypes.sizeof(CpuState))
        self._executed.clear()
        if self._stretch:
            limit = min(limit, leading.clock + self._stretch * CLOCK_PER_INSTRUCTION)
        ending = self.leader.turn(limit)
        if self._stretch:
            while ending is None and leading.clock < limit:
                ending = self.leader.turn(limit)
        reached, followers = int(leading.clock), None
        while followers is None and following.clock < reached:
            followers = self.follower.turn(reached)
        if (
            ending is not None and followers is None
        ):  # it was an instruction that does not count, as a `wait` for ever
            followers = self.follower.turn(reached + CLOCK_PER_INSTRUCTION)
        settle(leading)
        settle(following)
        if ending != followers or not are_equal(leading, following):
            raise self._difference((ending, followers))
        return ending

    def compare_memory(self) -> None:
        """Raises MachineDifference if any page differs."""
        self._memory_due = int(self.leader.vcpu.state.clock) + _MEMORY_INTERVAL * CLOCK_PER_INSTRUCTION
        frame = next(differing_frames(self.leader.memory, self.follower.memory), None)
        if frame is None:
            return
        address = frame << MACHINE_PAGE_SHIFT
        first, second = (
            machine.memory.read(address, MACHINE_PAGE_SIZE) for machine in (self.leader, self.follower)
        )
        difference = self._difference((None, None))
        for at in range(0, MACHINE_PAGE_SIZE, _SHOWN_BYTES):
            ours, theirs = first[at : at + _SHOWN_BYTES], second[at : at + _SHOWN_BYTES]
            if ours != theirs:
                difference.memory[address + at] = (ours, theirs)
        raise difference

    def _difference(self, ends: tuple[object, object]) -> MachineDifference:
        states = (self.leader.vcpu.state, self.follower.vcpu.state)
        after = tuple(registers_by_name(state) | translations_by_name(state) for state in states)
        return MachineDifference(
            self._names,
            registers_by_name(self._before),
            (after[0], after[1]),
            tuple(self._executed),
            {},
            ends,
        )
