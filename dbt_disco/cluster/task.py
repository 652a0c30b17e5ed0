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
    IDLE = "the guest waits for an interrupt"
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
        from runtime.system.vcpu import SystemVcpu

        vcpu = virtual_machine.vcpu
        assert virtual_machine.configuration.clock == "host" and isinstance(vcpu, SystemVcpu)
        self.virtual_machine: Final = virtual_machine
        self.vcpu: Final[SystemVcpu] = vcpu
        self.state_address: Final = addressof(vcpu.state)
        self.home_node: Final = home_node
        self._memory_node: Final = memory_node
        self.sampling: AccessSampling | None = None
        """Of its accesses, where pages move."""
        self.when_ended: Final = when_ended
        self.state = TaskState.NEW
        self.virtual_time = 0
        """Processor time in nanoseconds that it has had, and more if it has not asked for some: least goes first."""
        self.processor_time = 0
        """Nanoseconds of host processors that it has had."""
        self.slices = 0
        """How often it was given a processor."""
        self.migrations = 0
        """How often that was another processor than before."""
        self.last_processor = -1
        self.deadline = 0
        """IDLE: when it goes on by itself, in terms of `time.monotonic_ns`."""
        self.sleeps = 0
        """How often it has become IDLE, which tells whether a note of its deadline is out of date."""
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

    def wakes_at(self) -> int | None:
        """IDLE: when Compare matches, in terms of `time.monotonic_ns`; None if that does not count."""
        if not self.virtual_machine.waits_for_timer:
            return None
        return int(self.vcpu.state.start_time) + self.vcpu.next_compare()
