"""Stopping exactly: after N instructions, at a breakpoint, or after the one instruction that needs to be done alone.

Native code looks at the limit at taken branches only. Close to it, the vCPU goes stretch by stretch: breakpoints
planted in the predecoded entries end each at the next branch or delay slot.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runtime.address_space import CODE, EXEC, PAGE_SHIFT
from translator.decode import decode
from translator.encoding import Flow
from translator.state import CpuState, Stop

if TYPE_CHECKING:
    from runtime.breakpoints import Breakpoints
    from runtime.vcpu import Vcpu

CLOCK_PER_INSTRUCTION: Final = 16
NO_LIMIT: Final = 1 << 62


class ExactStepping:
    """What a vCPU does instruction by instruction."""

    def __init__(self, vcpu: Vcpu, breakpoints: Breakpoints) -> None:
        self._vcpu: Final = vcpu
        self._state: Final = vcpu.state
        self._entries: Final = vcpu.entries
        self._translations: Final = vcpu.translations
        self._breakpoints: Final = breakpoints
        self._page_flags: Final = vcpu.address_space.page_flags
        self.is_stepping = False
        """Whether entries are to be filled one at a time."""

    def leave_breakpoint(self) -> Stop:
        """Execute the instruction at pc, where there is a breakpoint; NONE if `run` can go on from there."""
        state, before = self._state, self._state.clock
        if before >= self._vcpu.clock_limit:
            return self.run_counted_out()
        with self._stepping(), self._breakpoints.lifted(state.pc):
            while state.clock == before:
                stop = self._run_stretch(1)
                if stop not in (Stop.BREAKPOINT, Stop.NONE):
                    return self._vcpu.external(stop)
        if state.pc not in self._breakpoints.addresses:
            return Stop.NONE
        state.stop = Stop.BREAKPOINT
        return Stop.BREAKPOINT

    def run_counted_out(self) -> Stop:
        """Run straight-line stretches between breakpoints until the limit is reached exactly."""
        state = self._state
        while state.clock < self._vcpu.clock_limit:
            if self._vcpu.stop_requested or state.pending_signals:
                return self._vcpu.external(Stop.LIMIT)
            remaining = (self._vcpu.clock_limit - state.clock) // CLOCK_PER_INSTRUCTION
            with self._stepping():
                stop = self._run_stretch(remaining)
            if stop not in (Stop.BREAKPOINT, Stop.NONE):
                return stop
            if state.pc in self._breakpoints.addresses:
                state.stop = Stop.BREAKPOINT
                return Stop.BREAKPOINT
        state.stop = Stop.LIMIT
        return self._vcpu.external(Stop.LIMIT)

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        """While this lasts, instructions run in tier 0, and a store to a code page ends the native call."""
        self._state.exact_stores, self.is_stepping = 1, True
        try:
            yield
        finally:
            self._state.exact_stores, self.is_stepping = bool(self._breakpoints.addresses), False

    def _run_stretch(self, remaining: int) -> Stop:
        """Run to the next branch or delay slot, or `remaining` instructions if that is nearer."""
        if self._state.in_delay_slot:
            return self.run_alone()
        ends = self._ends_of_stretch(remaining)
        breakpoint_handler = self._vcpu.native.handlers["breakpoint"]
        with self._translations.suspended(self._state.pc, ends[-1]):
            before = {pc: self._entries.handler(pc) for pc in ends}
            try:
                for pc in ends:
                    self._entries.set_handler(pc, breakpoint_handler)
                return self._vcpu.run_native(NO_LIMIT)
            finally:
                for pc, handler in before.items():
                    if self._entries.handler(pc) == breakpoint_handler:
                        self._entries.set_handler(pc, handler)

    def run_alone(self) -> Stop:
        """Do the instruction at pc, which is no branch, and no other; NONE if it is done.

        Its `next` is an entry that stops. A store to its own page gets through: once the page is no longer
        protected it stays so until the instruction is done.
        """
        state = self._state
        pc, in_delay_slot = state.pc, state.in_delay_slot
        following = state.branch_target if in_delay_slot else pc + 4 & 0xFFFF_FFFF
        entry, step_entry = self._entries.address(pc), ctypes.addressof(state) + CpuState.step_entry.offset
        with self._translations.suspended(pc, pc):
            while self._vcpu.fetch_faults() is None:
                self._entries.fill(pc, self._vcpu.word(pc))
                stop = self._vcpu.enter(entry, step_entry)
                if not self._page_flags[pc >> PAGE_SHIFT] & CODE:
                    self._entries.set_handler(pc, 0)
                if stop is Stop.BREAKPOINT:
                    state.pc, state.in_delay_slot = following, 0
                    return Stop.NONE
                state.branch_target = following
                if stop is not Stop.FPU_MODE and not (
                    stop is Stop.MEMORY_FAULT and self._vcpu.is_store_to_code()
                ):
                    return stop
        return Stop.MEMORY_FAULT

    def _ends_of_stretch(self, remaining: int) -> list[int]:
        pc = self._state.pc
        for _ in range(remaining):
            if not self._page_flags[pc >> PAGE_SHIFT] & EXEC:
                break
            instruction = decode(self._vcpu.word(pc))
            pc = pc + 4 & 0xFFFF_FFFF
            if instruction is not None and instruction.flow.has_delay_slot:
                return [pc, pc + 4 & 0xFFFF_FFFF] if instruction.flow is Flow.BRANCH_LIKELY else [pc]
        return [pc]

    def step_untranslated(self) -> Stop | None:
        """Do one instruction that cannot begin a region in tier 0."""
        pc = self._state.pc
        self._translations.counts.stepped += 1
        with self._stepping():
            stop = self._run_stretch(1)
        if pc not in self._translations:
            self._entries.set_handler(pc, 0)
        return None if stop in (Stop.BREAKPOINT, Stop.NONE) else stop
