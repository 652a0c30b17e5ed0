"""Our engines as `Machine`s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.address_space import EXEC, READ, WRITE, AddressSpace
from runtime.reference import ReferenceEngine
from runtime.vcpu import Vcpu
from tests.conformance.machine import (
    CODE,
    CODE_SIZE,
    DATA,
    DATA_SIZE,
    READ_ONLY,
    READ_ONLY_SIZE,
    Outcome,
    Registers,
    Start,
)
from tests.deadline import deadline
from translator.float_unit import read_fcsr, reset_float_state, write_fcsr
from translator.state import ExceptionCode, Stop

ENGINES: dict[str, Callable[..., Any]] = {
    "reference": ReferenceEngine,
    "interpreter": lambda space, **options: Vcpu(
        space, engine="interpreter", count_instructions=True, **options
    ),
    "translator": lambda space, **options: Vcpu(
        space, engine="translator", count_instructions=True, precise_faults=True, **options
    ),
}
"""Each makes a vCPU on an address space; options: big_endian, wide_fpu."""

_CLOCK_LIMIT = 16 * 100_000
_SECONDS = 20
_STEPPED_ALWAYS = 4
"""Instructions of a short program that the translator may step: the last one, stores to its own code."""


class EngineMachine:
    """One of ENGINES."""

    def __init__(self, name: str, big_endian: bool, wide_fpu: bool) -> None:
        self.name = name
        self.big_endian = big_endian
        self.wide_fpu = wide_fpu
        self.space = AddressSpace()
        self.space.map_anonymous(CODE, CODE_SIZE, READ | WRITE | EXEC)
        self.space.map_anonymous(DATA, DATA_SIZE, READ | WRITE)
        self.space.map_anonymous(READ_ONLY, READ_ONLY_SIZE, READ)
        self.vcpu = ENGINES[name](self.space, big_endian=big_endian, wide_fpu=wide_fpu)

    def close(self) -> None:
        self.vcpu.close()
        self.space.close()

    def execute(self, start: Start) -> Outcome:
        self._prepare(start)
        self.vcpu.clock_limit = _CLOCK_LIMIT
        is_translator = self.name == "translator"
        stepped_before = self.vcpu.translations.counts.stepped if is_translator else 0
        with deadline(_SECONDS, self.name):
            outcome = self._outcome(self.vcpu.run())
        if is_translator:
            self._check_translated(outcome, self.vcpu.translations.counts.stepped - stepped_before)
        return outcome

    def _check_translated(self, outcome: Outcome, stepped: int) -> None:
        """What ran was translated, but for the instructions that had to be left to tier 0, a few in any program."""
        translated = self.vcpu.state.translated_clock // 16
        counts = f"{translated} translated, {stepped} stepped of {outcome.retired}"
        assert translated + stepped >= outcome.retired, counts
        assert stepped <= _STEPPED_ALWAYS + outcome.retired // 4, counts

    def execute_in_slices(self, start: Start, length: Callable[[], int]) -> Outcome:
        """Like `execute`, but stopping every `length()` instructions, which must be exact."""
        self._prepare(start)
        state = self.vcpu.state
        limit = 0
        while True:
            limit += 16 * length()
            self.vcpu.clock_limit = limit
            with deadline(_SECONDS, self.name):
                stop = self.vcpu.run()
            if stop is not Stop.LIMIT:
                return self._outcome(stop)
            assert state.clock == limit, f"stopped {(state.clock - limit) / 16} instructions after the limit"

    def _prepare(self, start: Start) -> None:
        self.space.write(CODE, start.code(self.big_endian))
        self.space.write(DATA, start.data)
        self.space.protect(READ_ONLY, READ_ONLY_SIZE, READ | WRITE)
        self.space.write(READ_ONLY, start.read_only)
        self.space.protect(READ_ONLY, READ_ONLY_SIZE, READ)
        self._set(start)

    def _set(self, start: Start) -> None:
        state, registers = self.vcpu.state, start.registers
        reset_float_state(state)
        for number, value in enumerate(registers.gpr):
            state.gpr[number] = value
        state.hi, state.lo = registers.hi, registers.lo
        for number in range(32):
            state.fpr[number] = 0
        for number, value in enumerate(registers.fpr):
            if self.wide_fpu:
                state.fpr[number] = value
            else:
                state.fpr[number // 2] |= value << 32 * (number % 2)
        write_fcsr(state, registers.fcsr)
        state.user_local = start.user_local
        state.pc = start.pc
        state.in_delay_slot = state.link_valid = state.clock = state.translated_clock = 0

    def _outcome(self, stop: Stop) -> Outcome:
        state = self.vcpu.state
        code = ExceptionCode(state.exception_code)
        is_exception = stop is Stop.EXCEPTION
        event = f"exception {code.name}" if is_exception else stop.name.lower().replace("memory_", "")
        has_address = stop is Stop.MEMORY_FAULT or code in (ExceptionCode.ADEL, ExceptionCode.ADES)
        fpr = [state.fpr[number] for number in range(32)]
        if not self.wide_fpu:
            fpr = [state.fpr[number // 2] >> 32 * (number % 2) & 0xFFFF_FFFF for number in range(32)]
        registers = Registers(list(state.gpr[:32]), state.hi, state.lo, fpr, read_fcsr(state))
        return Outcome(
            event=event,
            pc=state.pc,
            in_delay_slot=bool(state.in_delay_slot),
            bad_address=state.bad_virtual_address if has_address else None,
            retired=state.clock // 16,
            registers=registers,
            data=self.space.read(DATA, DATA_SIZE),
        )
