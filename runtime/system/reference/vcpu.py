"""The reference engine as the processor of a virtual machine, in the place of `runtime.system.vcpu.SystemVcpu`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.reference_cpu import CLOCK_PER_INSTRUCTION, NO_LIMIT, GuestException
from runtime.system.cpu_model import CpuModel, reset
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.reference.engine import SystemReference
from runtime.system.reference.exceptions import enter, interrupt_is_due
from translator.cp0_registers import Status
from translator.host_float import CONTROL_DEFAULT
from translator.state import CpuState, ExceptionCode, Stop

if TYPE_CHECKING:
    from runtime.system.vcpu import Bus

_IP_SHIFT: Final = 8
_LINES: Final = 0x7C00
"""IP2 to IP6 in Cause."""


class ReferenceVcpu(SystemReference):
    """One processor after reset, on the memory and the bus of a virtual machine; time is instructions."""

    def __init__(
        self,
        memory: PhysicalMemory,
        bus: Bus,
        model: CpuModel,
        *,
        big_endian: bool = False,
        has_privileged_page: bool = True,
    ) -> None:
        state = CpuState()
        reset(state, model, big_endian=big_endian)
        state.guest_mxcsr = CONTROL_DEFAULT
        state.counts_instructions = 1
        state.has_privileged_page = has_privileged_page
        super().__init__(state, memory, bus, big_endian=big_endian)
        self.memory: Final = memory
        self.bus: Final = bus
        self.model: Final = model
        self.direct_registers: Final = None
        """Every access to a device goes there."""
        self.stops: Final[dict[Stop, int]] = dict.fromkeys(Stop, 0)
        """Returns of `run` by cause."""
        self.ends_at_branches = False
        """Whether `run` returns Stop.LIMIT behind each taken branch, too."""
        self.clock_limit = NO_LIMIT
        """See `stop_at`."""
        self._stop_requested = False

    def set_interrupts(self, levels: int) -> None:
        """The hardware interrupt lines: bit n is IPn, 2 to 6; IP7 is the timer's."""
        self.state.cause = self.state.cause & ~_LINES | levels << _IP_SHIFT & _LINES

    def request_stop(self) -> None:
        """Make a `run` in progress, or else the next one, return before the next instruction: Stop.LIMIT."""
        self._stop_requested = True

    def stop_at(self, clock: int | None) -> None:
        """Make `run` return as soon as the clock has reached a value (None: whatever it is)."""
        self.clock_limit = NO_LIMIT if clock is None else clock

    def run(self) -> Stop:
        """Execute until something needs the caller, who finds it in front of an instruction."""
        stop = self._run()
        self.stops[stop] += 1
        return stop

    def _run(self) -> Stop:
        state = self.state
        while True:
            self.timer.update()
            if self._stop_requested or state.clock >= self.clock_limit:
                break
            if interrupt_is_due(state):
                enter(state, GuestException(ExceptionCode.INT))
                continue
            clock, following = state.clock, state.pc + 4
            stop = self.step()
            if stop is not Stop.NONE:
                return stop
            if self.ends_at_branches and state.pc != following and state.clock != clock:
                break
        self._stop_requested = False
        state.stop = Stop.LIMIT
        return Stop.LIMIT

    def advance(self) -> None:
        """Go on behind the instruction at pc, which has been done by somebody else and is no branch."""
        state = self.state
        state.pc = state.branch_target if state.in_delay_slot else state.pc + 4 & 0xFFFF_FFFF
        state.in_delay_slot = 0
        state.clock += CLOCK_PER_INSTRUCTION

    def interrupt_is_pending(self) -> bool:
        """Whether an unmasked interrupt is, enabled or not: what ends a `wait`."""
        self.timer.update()
        return bool(self.state.cause & self.state.status & Status.IM)

    def count(self) -> int:
        """Count as the guest would read it now."""
        return self.timer.count()

    def next_compare(self) -> int:
        """When Count reaches Compare next, in nanoseconds since the start."""
        return int(self.state.compare_ticks) * 25 // 4
