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
from runtime.reference_registers import (
    FloatDoublewords,
    FloatWords,
    GeneralRegisters,
    OneBitRegisters,
)
from translator.algebra import RegisterFile
from translator.dataflow import dataflow
from translator.decode import UNUSABLE_COPROCESSOR, Instruction, decode
from translator.encoding import Semantics
from translator.float_format import FORMAT_WIDTH
from translator.float_mode import is_reserved
from translator.float_unit import FloatTrap, FloatUnit, reset_float_state
from translator.integers import IntegerValue
from translator.predecode import CLOCK_PER_COUNT
from translator.state import CpuState, ExceptionCode, Stop

CLOCK_PER_INSTRUCTION: Final = 16
NO_LIMIT: Final = 1 << 62


class GuestException(Exception):
    """The instruction being executed raises an architectural exception."""

    def __init__(self, code: ExceptionCode, coprocessor: int = 0, bad_address: int | None = None) -> None:
        self.code = code
        self.coprocessor = coprocessor
        self.bad_address = bad_address


class Operands:
    """The operand fields of one instruction word: register numbers as ints, all others as Values."""

    def __init__(self, instruction: Instruction, xlen: int) -> None:
        registers = dataflow(instruction.encoding).register_fields()
        for name in instruction.encoding.fields:
            number = instruction.field(name)
            setattr(self, name, number if name in registers else IntegerValue(number, xlen))


class ReferenceEngine:
    """One vCPU in a window address space; a `translator.algebra.Cpu` and a `Vcpu` of the personality."""

    def __init__(
        self,
        address_space: AddressSpace,
        *,
        big_endian: bool = False,
        wide_fpu: bool = False,
    ) -> None:
        self.state = state = CpuState()
        self.address_space = address_space
        self.big_endian = big_endian
        self.system = False
        self.xlen = 8 * ctypes.sizeof(state.gpr._type_)
        self._mask: Final = (1 << self.xlen) - 1
        self._order: Final = "big" if big_endian else "little"
        # The flag byte of every page and every byte of the window, without a Python call per access.
        self._flags: Final = memoryview(address_space.page_flags).cast("B")
        self._memory: Final = memoryview(
            (ctypes.c_uint8 * WINDOW_SIZE).from_address(address_space.base)
        ).cast("B")
        self.gpr: RegisterFile = GeneralRegisters(state.gpr, self.xlen)
        self.fcc: RegisterFile = OneBitRegisters(state.fcc)
        self._float_unit: Final = FloatUnit(state)
        reset_float_state(state)
        self.clock_limit = NO_LIMIT
        """`run` stops when `state.clock` has reached this: 16 for each retired instruction."""
        self.breakpoints: frozenset[int] = frozenset()
        """`run` returns Stop.BREAKPOINT when it has come to one of these addresses."""
        self.precise_faults = True
        """As every engine has it; this one knows no other way."""
        self._stop_requested = False
        # Set by a branch: its target, and whether the way there leads through the delay slot.
        self._branch: tuple[int, bool] | None = None
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

    def _set_fpu_mode(self, wide: bool) -> None:
        self._wide_fpu = wide
        self._decoded: dict[int, tuple[Semantics, Operands, bool] | None] = {}
        self.fpr32: RegisterFile = FloatWords(self.state.fpr, wide)
        self.fpr_high: RegisterFile = FloatWords(self.state.fpr, wide, high=True)
        self.fpr64: RegisterFile = FloatDoublewords(self.state.fpr, wide)

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

    def _execute(self, pc: int) -> None:
        state = self.state
        semantics, operands, is_branch = self._fetch(pc)
        in_delay_slot = state.in_delay_slot
        if is_branch and in_delay_slot:
            # Unpredictable; QEMU makes it a reserved instruction.
            raise GuestException(ExceptionCode.RI)
        semantics(self, operands)
        state.clock += CLOCK_PER_INSTRUCTION
        if in_delay_slot:
            state.in_delay_slot = 0
            state.pc = state.branch_target
        elif self._branch is None:
            state.pc = pc + 4 & self._mask
        else:
            target, through_delay_slot = self._branch
            self._branch = None
            if through_delay_slot:
                state.branch_target = target
                state.in_delay_slot = 1
                target = pc + 4
            state.pc = target & self._mask

    def _fetch(self, pc: int) -> tuple[Semantics, Operands, bool]:
        if pc & 3:
            raise GuestException(ExceptionCode.ADEL, bad_address=pc)
        word = self._read(pc, 4, EXEC)
        try:
            known = self._decoded[word]
        except KeyError:
            known = self._decoded[word] = self._prepare(word)
        if known is not None:
            return known
        unusable = UNUSABLE_COPROCESSOR.get(word >> 26)
        if unusable is not None:
            raise GuestException(ExceptionCode.CPU, unusable)
        raise GuestException(ExceptionCode.RI)

    def _prepare(self, word: int) -> tuple[Semantics, Operands, bool] | None:
        instruction = decode(word)
        if instruction is None:
            return None
        encoding = instruction.encoding
        if is_reserved(encoding, word, self._wide_fpu):
            return None
        return encoding.semantics, Operands(instruction, self.xlen), encoding.flow.has_delay_slot

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

    def store_if(self, condition: IntegerValue, address: IntegerValue, value: IntegerValue) -> None:
        if condition.number:
            self.store(address, value)

    def load_linked(self, address: IntegerValue) -> IntegerValue:
        if address.number & 3:
            raise GuestException(ExceptionCode.ADEL, bad_address=address.number)
        value = self.load(address, 32)
        state = self.state
        state.link_address, state.link_value, state.link_valid = address.number, value.number, 1
        return value

    def store_conditional(self, address: IntegerValue, value: IntegerValue) -> IntegerValue:
        """The link is unbroken while the word at its address holds what ll read, as in QEMU's user mode."""
        if address.number & 3:
            raise GuestException(ExceptionCode.ADES, bad_address=address.number)
        state = self.state
        unbroken = False
        if state.link_valid and state.link_address == address.number:
            self._check(address.number, 4, WRITE)
            unbroken = self.load(address, 32).number == state.link_value
            if unbroken:
                self.store(address, value)
        state.link_valid = 0
        return IntegerValue(unbroken, 1)

    # Registers and state.

    def constant(self, number: int, width: int | None = None) -> IntegerValue:
        return IntegerValue(number, width or self.xlen)

    @property
    def pc(self) -> IntegerValue:
        return IntegerValue(self.state.pc, self.xlen)

    @property
    def accumulator(self) -> IntegerValue:
        return IntegerValue(self.state.accumulator, 2 * self.xlen)

    @accumulator.setter
    def accumulator(self, value: IntegerValue) -> None:
        self.state.accumulator = value.number

    def read(self, field: str) -> IntegerValue:
        return IntegerValue(getattr(self.state, field), 8 * getattr(CpuState, field).size)

    def write(self, field: str, value: IntegerValue) -> None:
        setattr(self.state, field, value.number)

    def read_count(self) -> IntegerValue:
        return IntegerValue(self.state.clock // CLOCK_PER_COUNT, 32)

    # Floating point.

    def float_arithmetic(self, operation: str, kind: str, *operands: IntegerValue) -> IntegerValue:
        bits = self._float_unit.float_arithmetic(operation, kind, *(operand.number for operand in operands))
        return IntegerValue(bits, FORMAT_WIDTH[kind])

    def float_compare(self, condition: int, kind: str, a: IntegerValue, b: IntegerValue) -> IntegerValue:
        return IntegerValue(self._float_unit.float_compare(condition, kind, a.number, b.number), 1)

    def float_convert(self, operation: str, to: str, kind: str, operand: IntegerValue) -> IntegerValue:
        bits = self._float_unit.float_convert(operation, to, kind, operand.number)
        return IntegerValue(bits, FORMAT_WIDTH[to])

    def read_fcsr(self) -> IntegerValue:
        return IntegerValue(self._float_unit.read_fcsr(), 32)

    def write_fcsr(self, value: IntegerValue) -> None:
        self._float_unit.write_fcsr(value.number)

    # Control.

    def branch(self, condition: IntegerValue, offset: IntegerValue) -> None:
        distance = 4 + 4 * offset.signed if condition.number else 8
        self._branch = (self.state.pc + distance & self._mask, True)

    def branch_likely(self, condition: IntegerValue, offset: IntegerValue) -> None:
        if condition.number:
            self.branch(condition, offset)
        else:
            self._branch = (self.state.pc + 8, False)

    def jump(self, target: IntegerValue) -> None:
        self._branch = (target.number, True)

    def jump_in_segment(self, index: IntegerValue) -> None:
        segment = self.state.pc + 4 & self._mask & -1 << 28
        self._branch = (segment | index.number << 2, True)

    def trap_if(self, condition: IntegerValue, code: ExceptionCode) -> None:
        if condition.number:
            raise GuestException(code)

    def raise_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        raise GuestException(code, coprocessor)
