"""What the scheduler runs: one virtual machine's vCPU, with what has become of it."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof
from enum import Enum
from typing import TYPE_CHECKING, Final

from dbt_disco.virtual_machine.outcome import Outcome

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
    from runtime.system.access_sampling import AccessSampling
    from runtime.system.vcpu import SystemVcpu

End = Outcome | Exception
"""How a virtual machine has ended: as it or its guest wanted, or by an error in the monitor."""


class TaskState(Enum):
    """Where a task is with the scheduler. Each is one line of `Scheduler`."""

    NEW = "the scheduler does not know it yet"
    READY = "it waits for a processor"
    RUNNING = "a processor has it"
    IDLE = "the guest waits for an interrupt, or a processor's native loop runs its tick"
    ENDED = "it will not run any more"


class Task:
    """A virtual machine under the host's clock. Its fields are the scheduler's, under that one's lock."""

    def __init__(
        self,
        virtual_machine: VirtualMachine,
        home_node: int,
        when_ended: Callable[[End], None],
        memory_node: int | None = None,
    ) -> None:
        """`when_ended` is called once, on a processor's thread: it may only take a note. `memory_node`: see
        `MemberConfiguration`.
        """
        from dbt_disco.virtual_machine.host_surroundings import HostSurroundings
        from runtime.system.vcpu import SystemVcpu

        vcpu, surroundings = virtual_machine.vcpu, virtual_machine.surroundings
        assert isinstance(surroundings, HostSurroundings) and isinstance(vcpu, SystemVcpu)
        self.virtual_machine: Final = virtual_machine
        self.vcpu: Final[SystemVcpu] = vcpu
        self.state_address: Final = addressof(vcpu.state)
        self.idle_vcpu: Final = surroundings.idle_vcpu
        self.home_node: Final = home_node
        self._memory_node: Final = memory_node
        self.sampling: AccessSampling | None = None
        """Of its accesses, where pages move."""
        self.when_ended: Final = when_ended
        self.state = TaskState.NEW
        self.virtual_time = 0
        """Processor time in nanoseconds that it has had, and more if it has not asked for some: least goes first."""
        self._used = 0
        """Nanoseconds of host processors that it has had outside of native loops."""
        self._charged = 0
        """Nanoseconds of those that it has had in them, as far as they count in `virtual_time`."""
        self.slices = 0
        """How often it was given a processor; ticks in native loops do not count."""
        self.migrations = 0
        """How often that was another processor than before."""
        self.last_processor = -1
        self.holds = 0
        """So many want it to stand still: it is given no processor."""
        self.end: End | None = None
        """ENDED: how."""
        self.at_safe_point = False
        """RUNNING: its thread is within `Scheduler.hold`, where its tables may be changed by others."""

    def run_on(self, node: int) -> None:
        """It is going to run on a processor of that node."""
        memory = self.virtual_machine.memory
        memory.used_on = node
        if self._memory_node is None:
            memory.node = node
        if self.sampling is not None:
            self.sampling.runs_on(node)

    @property
    def processor_time(self) -> int:
        """Nanoseconds of host processors that it has had, in slices that are over."""
        return self._used + self.idle_vcpu.time

    def charge(self, nanoseconds: int) -> None:
        """It has had so much processor time in a slice."""
        self._used += nanoseconds
        self.virtual_time += nanoseconds

    def charge_ticks(self) -> None:
        """Have what native loops have spent on it count in `virtual_time`."""
        time = self.idle_vcpu.time
        self.virtual_time += time - self._charged
        self._charged = time

    def wakes_at(self) -> int | None:
        """IDLE: when Compare matches, in terms of `time.monotonic_ns`; None if that does not count."""
        if not self.virtual_machine.waits_for_timer:
            return None
        return int(self.vcpu.state.start_time) + self.vcpu.next_compare()
