"""Instruction semantics evaluated one at a time on Python integers: what both reference engines share.

`ReferenceCpu` is a `translator.algebra.Cpu` over a `CpuState`; where memory is and what becomes of exceptions is
left to the engine of user programs and to the one of virtual machines.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from typing import Final

from runtime.reference_registers import (
    FloatDoublewords,
    FloatWords,
    GeneralRegisters,
    OneBitRegisters,
)
from translator.algebra import RegisterFile
from translator.dataflow import dataflow
from translator.decode import Instruction
from translator.encoding import Semantics
from translator.float_format import FORMAT_WIDTH
from translator.float_mode import is_reserved
from translator.float_unit import FloatUnit
from translator.integers import IntegerValue
from translator.predecode import CLOCK_PER_COUNT
from translator.state import CpuState, ExceptionCode

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


Decoded = tuple[Semantics, Operands, bool]
"""Semantics, operands, and whether a delay slot follows."""


class ReferenceCpu(ABC):
    """A vCPU on a state that is precise after every instruction."""

    system = False

    def __init__(self, state: CpuState, *, big_endian: bool) -> None:
        self.state = state
        self.big_endian = big_endian
        self.xlen = 8 * ctypes.sizeof(state.gpr._type_)
        self._mask: Final = (1 << self.xlen) - 1
        self.gpr: RegisterFile = GeneralRegisters(state.gpr, self.xlen)
        self.fcc: RegisterFile = OneBitRegisters(state.fcc)
        self._float_unit: Final = FloatUnit(state)
        # Set by a branch: its target, and whether the way there leads through the delay slot.
        self._branch: tuple[int, bool] | None = None
        self._decoded_by_mode: Final[tuple[dict[int, Decoded | None], ...]] = ({}, {})

    def _set_fpu_mode(self, wide: bool) -> None:
        """What registers and words mean with Status.FR = `wide`."""
        self._wide_fpu = wide
        self._decoded = self._decoded_by_mode[wide]
        self.fpr32: RegisterFile = FloatWords(self.state.fpr, wide)
        self.fpr_high: RegisterFile = FloatWords(self.state.fpr, wide, high=True)
        self.fpr64: RegisterFile = FloatDoublewords(self.state.fpr, wide)

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
        if self._branch is not None:
            target, through_delay_slot = self._branch
            self._branch = None
            state.in_delay_slot = through_delay_slot
            if through_delay_slot:
                state.branch_target = target
                target = pc + 4
            state.pc = target & self._mask
        elif in_delay_slot:
            state.in_delay_slot = 0
            state.pc = state.branch_target
        else:
            state.pc = pc + 4 & self._mask

    def _fetch(self, pc: int) -> Decoded:
        """The instruction at `pc`; the exception that fetching or decoding it raises."""
        if pc & 3:
            raise GuestException(ExceptionCode.ADEL, bad_address=pc)
        word = self._fetch_word(pc)
        try:
            known = self._decoded[word]
        except KeyError:
            known = self._decoded[word] = self._prepare(word)
        if known is None:
            raise self._undefined(word)
        return known

    def _prepare(self, word: int) -> Decoded | None:
        instruction = self._decode(word)
        if instruction is None:
            return None
        encoding = instruction.encoding
        if is_reserved(encoding, word, self._wide_fpu):
            return None
        return encoding.semantics, Operands(instruction, self.xlen), encoding.flow.has_delay_slot

    @abstractmethod
    def _decode(self, word: int) -> Instruction | None:
        """The instruction encoded by `word`; None if there is none."""

    @abstractmethod
    def _undefined(self, word: int) -> GuestException:
        """What a word that is no instruction raises."""

    @abstractmethod
    def _fetch_word(self, pc: int) -> int:
        """The word at `pc`, which is aligned."""

    # Memory.

    @abstractmethod
    def load(self, address: IntegerValue, width: int) -> IntegerValue:
        """See `translator.algebra.Cpu`, here and below."""

    @abstractmethod
    def store(self, address: IntegerValue, value: IntegerValue) -> None: ...

    @abstractmethod
    def _check_store(self, address: int) -> None:
        """Raise what a store of the word at `address` would raise."""

    def store_if(self, condition: IntegerValue, address: IntegerValue, value: IntegerValue) -> None:
        if condition.number:
            self.store(address, value)

    def report_faults_at(self, address: IntegerValue) -> None:  # noqa: B027
        """Faults are looked into when they have happened (`runtime.fault_address`)."""

    def touch(self, address: IntegerValue) -> None:  # noqa: B027
        """User programs are let through everywhere."""

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
            self._check_store(address.number)
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
    def hi(self) -> IntegerValue:
        return IntegerValue(self.state.hi, self.xlen)

    @hi.setter
    def hi(self, value: IntegerValue) -> None:
        self.state.hi = value.number

    @property
    def lo(self) -> IntegerValue:
        return IntegerValue(self.state.lo, self.xlen)

    @lo.setter
    def lo(self, value: IntegerValue) -> None:
        self.state.lo = value.number

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
