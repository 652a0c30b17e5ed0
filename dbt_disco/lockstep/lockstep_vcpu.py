"""A vCPU that is two: a leader, on which system calls are made, and a follower that must do the same."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dbt_disco.engine import make_vcpu, native_vcpu
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.lockstep.difference import Difference
from dbt_disco.lockstep.memory_mirror import MemoryMirror
from dbt_disco.lockstep.register_comparison import are_equal, copy_registers, registers_by_name
from dbt_disco.observed_vcpu import ObservedVcpu
from runtime.host_signals import ASYNCHRONOUS_SIGNALS
from translator.decode import decode
from translator.state import CpuState, ExceptionCode, Stop

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

_CLOCK_PER_INSTRUCTION: Final = 16
_NO_LIMIT: Final = 1 << 62
_MASK_SIZE: Final = 8
"""Bytes of a host's set of signals."""
_ASYNCHRONOUS: Final = sum(1 << number - 1 for number in ASYNCHRONOUS_SIGNALS).to_bytes(_MASK_SIZE, "little")


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """A signal would stop the leader where the follower does not stop. Faults come all the same.

    Twice for every stretch, so that `signal.pthread_sigmask`, which takes 50 µs, is too slow.
    """
    before = ctypes.create_string_buffer(_MASK_SIZE)
    host_call("rt_sigprocmask", signal.SIG_BLOCK, _ASYNCHRONOUS, before, _MASK_SIZE)
    try:
        yield
    finally:
        host_call("rt_sigprocmask", signal.SIG_SETMASK, before, None, _MASK_SIZE)


class LockstepVcpu(ObservedVcpu):
    """Stands for the leader towards the process. `run` raises `Difference` when the two disagree."""

    def __init__(self, leader: AnyVcpu, follower_engine: str, names: tuple[str, str]) -> None:
        super().__init__(leader)
        self.names = names
        self._mirror = MemoryMirror(leader.address_space)
        self.follower = make_vcpu(
            self._mirror.copy,
            follower_engine,
            big_endian=leader.big_endian,
            wide_fpu=leader.wide_fpu,
            count_instructions=True,
            precise_faults=True,
        )
        self._before = CpuState()
        """The leader's state at the start of the stretch."""
        self._stop_requested = False

    def request_stop(self) -> None:
        """End the run at the next comparison."""
        self._stop_requested = True
        self.vcpu.request_stop()

    def run(self) -> Stop:
        """Run both until the leader needs attention."""
        self._mirror.update()
        copy_registers(self.vcpu, self.follower)
        while not self._stop_requested and not self.state.pending_signals:
            with _signals_held_back():
                stop = self._run_stretch()
            if stop is not Stop.LIMIT:
                self._compare_memory()
                return stop
        self._stop_requested = False
        return Stop.LIMIT

    def _run_stretch(self) -> Stop:
        ctypes.memmove(ctypes.addressof(self._before), ctypes.addressof(self.state), ctypes.sizeof(CpuState))
        stop = self._lead()
        blocks, follower_stop = self._follow(stop)
        ends = (self._end(self.vcpu, stop), self._end(self.follower, follower_stop))
        if ends[0] != ends[1] or not are_equal(self.state, self.follower.state):
            before, leading, following = map(self._named, (self._before, self.state, self.follower.state))
            raise Difference(self, before, (leading, following), ends, blocks)
        return stop

    def _named(self, state: CpuState) -> dict[str, int]:
        return registers_by_name(state, self.vcpu.wide_fpu)

    def _lead(self) -> Stop:
        """Let the leader run a stretch; where it stops at a branch, past that."""
        stop = self.vcpu.run_to_branch()
        if stop is not Stop.LIMIT or self.state.in_delay_slot:
            return stop
        word = int.from_bytes(
            self.address_space.read(self.state.pc, 4), "big" if self.big_endian else "little"
        )
        instruction = decode(word)
        if instruction is None or not instruction.flow.has_delay_slot:
            return stop
        self.vcpu.clock_limit = self.state.clock + 2 * _CLOCK_PER_INSTRUCTION
        stop = self.vcpu.run()
        self.vcpu.clock_limit = _NO_LIMIT
        return stop

    def _follow(self, leaders: Stop) -> tuple[list[int], Stop]:
        """Let the follower do what the leader has done; returns the blocks it went through, and how it
        ended."""
        follower = self.follower
        target = self.state.clock
        follower.clock_limit = target + (_CLOCK_PER_INSTRUCTION if leaders is not Stop.LIMIT else 0)
        blocks = []
        stop = Stop.LIMIT
        while stop is Stop.LIMIT and follower.state.clock < follower.clock_limit:
            blocks.append(follower.state.pc)
            stop = follower.run() if native_vcpu(follower) else follower.run_to_branch()
        return blocks, stop

    def _end(self, vcpu: AnyVcpu, stop: Stop) -> str:
        """How a stretch ended, as it must be the same on both sides."""
        if stop is Stop.EXCEPTION:
            return f"exception {ExceptionCode(vcpu.state.exception_code).name}"
        if stop is Stop.MEMORY_FAULT:
            return f"fault at {vcpu.state.bad_virtual_address:08x}"
        return "ran on"

    def _compare_memory(self) -> None:
        page = next(self._mirror.differing_pages(), None)
        if page is not None:
            registers = self._named(self.state)
            raise Difference(self, registers, (registers, registers), ("", ""), [self.state.pc], page)
