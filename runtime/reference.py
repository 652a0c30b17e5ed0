"""The reference engine: instruction semantics evaluated one at a time on Python integers.

It is the oracle of the other engines and the baseline of the benchmarks, so it prefers being obviously right.
State is precise after every instruction: registers live in `CpuState`, guest memory in the window.
"""

from __future__ import annotations

import ctypes
from typing import Final

from runtime.address_space import (
    CODE,
    EXEC,
    FILE,
    PAGE_MASK,
    PAGE_SHIFT,
    PAGE_SIZE,
    READ,
    WINDOW_SIZE,
    WRITE,
    AddressSpace,
    GuestFault,
)
from runtime.fault_address import reported_address
from runtime.float_register_mode import change_float_layout
from runtime.reference_cpu import NO_LIMIT, GuestException, ReferenceCpu
from translator.decode import UNUSABLE_COPROCESSOR, Instruction, decode
from translator.float_unit import FloatTrap, reset_float_state
from translator.integers import IntegerValue
from translator.state import CpuState, ExceptionCode, Stop


class ReferenceEngine(ReferenceCpu):
    """One vCPU in a window address space; a `translator.algebra.Cpu` and a `Vcpu` of the personality."""

    def __init__(
        self,
        address_space: AddressSpace,
        *,
        big_endian: bool = False,
        wide_fpu: bool = False,
    ) -> None:
        super().__init__(CpuState(), big_endian=big_endian)
        self.address_space = address_space
        self._order: Final = "big" if big_endian else "little"
        # The flag byte of every page and every byte of the window, without a Python call per access.
        self._flags: Final = memoryview(address_space.page_flags).cast("B")
        self._memory: Final = memoryview(
            (ctypes.c_uint8 * WINDOW_SIZE).from_address(address_space.base)
        ).cast("B")
        reset_float_state(self.state)
        self.clock_limit = NO_LIMIT
        """`run` stops when `state.clock` has reached this: 16 for each retired instruction."""
        self.breakpoints: frozenset[int] = frozenset()
        """`run` returns Stop.BREAKPOINT when it has come to one of these addresses."""
        self.precise_faults = True
        """As every engine has it; this one knows no other way."""
        self._stop_requested = False
        self._set_fpu_mode(wide_fpu)

    # Vcpu.

    @property
    def wide_fpu(self) -> bool:
        """Status.FR: 32 FPU registers of 64 bits (else 16 pairs). May be set between runs."""
        return self._wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        if wide != self._wide_fpu:
            change_float_layout(self.state, wide)
            self._set_fpu_mode(wide)

    def run(self) -> Stop:
        """Execute until `clock_limit`, until a stop is asked for, or until an instruction cannot complete."""
        state = self.state
        while state.clock < self.clock_limit and not self._stop_requested and not state.pending_signals:
            stop = self.step()
            if stop is not Stop.NONE:
                return stop
            if state.pc in self.breakpoints:
                state.stop = Stop.BREAKPOINT
                return Stop.BREAKPOINT
        self._stop_requested = False
        state.stop = Stop.LIMIT
        return Stop.LIMIT

    def run_to_branch(self) -> Stop:
        """Run a little, at least one instruction: Stop.LIMIT behind a taken branch or at `clock_limit`."""
        state = self.state
        while True:
            following = state.pc + 4
            stop = self.step()
            if stop is not Stop.NONE:
                return stop
            if state.clock >= self.clock_limit or state.pc != following:
                state.stop = Stop.LIMIT
                return Stop.LIMIT

    def step(self) -> Stop:
        """Execute one instruction; NONE if it retired, else why it did not (then it has had no effect)."""
        state = self.state
        try:
            self._execute(state.pc)
        except GuestException as exception:
            state.exception_code = exception.code
            state.coprocessor = exception.coprocessor
            if exception.bad_address is not None:
                state.bad_virtual_address = exception.bad_address
            stop = Stop.EXCEPTION
        except GuestFault as fault:
            state.bad_virtual_address = self._reported_address(fault.address)
            stop = Stop.MEMORY_FAULT
        except FloatTrap:
            state.exception_code = ExceptionCode.FPE
            stop = Stop.EXCEPTION
        else:
            stop = Stop.NONE
        state.stop = stop
        return stop

    def _reported_address(self, accessed: int) -> int:
        pc = self.state.pc
        try:
            word = self._read(pc, 4, EXEC)
        except GuestFault:
            return accessed  # it was the instruction fetch
        return reported_address(self.state, word, accessed)

    def request_stop(self) -> None:
        """Make a `run` in progress, or else the next one, return soon with Stop.LIMIT."""
        self._stop_requested = True

    def close(self) -> None:
        """Let go of the address space, which may then be closed."""
        self._memory.release()
        self._flags.release()

    # One instruction.

    def _decode(self, word: int) -> Instruction | None:
        return decode(word)

    def _undefined(self, word: int) -> GuestException:
        unusable = UNUSABLE_COPROCESSOR.get(word >> 26)
        if unusable is not None:
            return GuestException(ExceptionCode.CPU, unusable)
        return GuestException(ExceptionCode.RI)

    def _fetch_word(self, pc: int) -> int:
        return self._read(pc, 4, EXEC)

    # Memory.

    def _check(self, address: int, size: int, needed: int) -> int:
        """The flags of the pages of an access, all of which must have a bit of `needed`."""
        flags = self._flags
        first = address >> PAGE_SHIFT
        found = flags[first] if first < len(flags) else 0
        if not found & needed:
            raise GuestFault(address, needed == WRITE)
        if (address & PAGE_MASK) + size > PAGE_SIZE:
            following = flags[first + 1] if first + 1 < len(flags) else 0
            if not following & needed:
                raise GuestFault((first + 1) << PAGE_SHIFT, needed == WRITE)
            found |= following
        return found

    def _read(self, address: int, size: int, needed: int) -> int:
        if self._check(address, size, needed) & FILE:
            return int.from_bytes(self.address_space.read(address, size), self._order)
        return int.from_bytes(self._memory[address : address + size], self._order)

    def _write(self, address: int, size: int, number: int) -> None:
        data = number.to_bytes(size, self._order)
        if self._check(address, size, WRITE) & (FILE | CODE):
            self.address_space.write(address, data)
        else:
            self._memory[address : address + size] = data

    def load(self, address: IntegerValue, width: int) -> IntegerValue:
        # As on Linux, whoever may write or execute a page may read it.
        return IntegerValue(self._read(address.number, width // 8, READ | WRITE | EXEC), width)

    def store(self, address: IntegerValue, value: IntegerValue) -> None:
        self._write(address.number, value.width // 8, value.number)

    def _check_store(self, address: int) -> None:
        self._check(address, 4, WRITE)
