"""One instruction after the other: `SystemReference` is the `SystemCpu` of the algebra on Python integers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime.float_register_mode import change_float_layout
from runtime.reference_cpu import Decoded, GuestException, ReferenceCpu
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.reference import privileged_page
from runtime.system.reference.exceptions import enter, return_address
from runtime.system.reference.faults import Stopped
from runtime.system.reference.memory import BusAccess
from runtime.system.reference.mode import address_error, coprocessor_is_usable, is_privileged_page
from runtime.system.reference.timer import InstructionTimer
from runtime.system.reference.tlb import Tlb
from runtime.system.reference.translation import AddressTranslation
from translator.algebra import SystemOperation
from translator.cp0_registers import Cause, Status
from translator.decode import Instruction, decode_privileged
from translator.encoding import ENCODINGS
from translator.float_unit import FloatTrap
from translator.integers import IntegerValue
from translator.state import Access, CpuState, ExceptionCode, Stop
from translator.system.coprocessor import MISSING_COPROCESSOR, coprocessor_of_reserved, needs_coprocessor_1

if TYPE_CHECKING:
    from runtime.system.vcpu import Bus

_FLOAT_SEMANTICS: Final = frozenset(
    encoding.semantics for encoding in ENCODINGS.values() if needs_coprocessor_1(encoding)
)
_PAGE_OFFSET: Final = 0xFFF
_REGISTER_SIZE: Final = 4


class SystemReference(ReferenceCpu):
    """A processor on a state, a physical memory and a bus, which others may use in between.

    Its time is the instructions executed.
    """

    system = True

    def __init__(self, state: CpuState, memory: PhysicalMemory, bus: Bus, *, big_endian: bool) -> None:
        super().__init__(state, big_endian=big_endian)
        self.tlb: Final = Tlb(state)
        self.timer: Final = InstructionTimer(state)
        self._translation: Final = AddressTranslation(state, self.tlb)
        self._bus_access: Final = BusAccess(memory, bus, big_endian=big_endian)
        self._operations: Final[dict[SystemOperation, Callable[..., None]]] = {
            SystemOperation.UPDATE_TIMER: self.timer.update,
            SystemOperation.WRITE_COUNT: self.timer.write_count,
            SystemOperation.WRITE_COMPARE: self.timer.write_compare,
            SystemOperation.STOP_OR_START_COUNT: self.timer.before_cause,
            SystemOperation.TLB_READ: self.tlb.read,
            SystemOperation.TLB_WRITE_INDEXED: self.tlb.write_indexed,
            SystemOperation.TLB_WRITE_RANDOM: self.tlb.write_random,
            SystemOperation.TLB_PROBE: self.tlb.probe,
        }
        self._reported: int | None = None
        """What the instruction's accesses are for, if that is not their own addresses."""
        self.executed: deque[tuple[int, int]] | None = None
        """If there is one, it is told the address and the word of every instruction fetched."""
        self._set_fpu_mode(bool(state.wide_registers))

    def close(self) -> None:
        """Let go of the memory."""
        self._bus_access.close()

    # One instruction.

    def step(self) -> Stop:
        """Execute the instruction at pc, or take the exception it raises.

        NONE; or why somebody else has to act first, and then nothing has been done.
        """
        state = self.state
        self._reported = None
        self._follow_register_mode()
        try:
            self._execute(state.pc)
        except GuestException as exception:
            enter(state, exception)
        except FloatTrap:
            enter(state, GuestException(ExceptionCode.FPE))
        except Stopped as stopped:
            state.stop = stopped.stop
            return stopped.stop
        return Stop.NONE

    def _follow_register_mode(self) -> None:
        """Status.FR takes effect when the FPU is usable: until then nobody sees the registers."""
        state = self.state
        wide = bool(state.status & Status.FR)
        if state.status & Status.CU1 and wide != bool(state.wide_registers):
            self._change_register_mode(wide)
        if self._wide_fpu != bool(state.wide_registers):
            self._set_fpu_mode(bool(state.wide_registers))

    def _change_register_mode(self, wide: bool) -> None:
        change_float_layout(self.state, wide)
        self.state.wide_registers = wide

    def _fetch(self, pc: int) -> Decoded:
        decoded = super()._fetch(pc)
        if decoded[0] in _FLOAT_SEMANTICS:
            self.require_coprocessor(1)
        return decoded

    def _fetch_word(self, pc: int) -> int:
        physical = self._translation.physical(pc, Access.FETCH)
        word = self._bus_access.read_memory(physical, 4)
        if word is None:
            self.state.access_physical = physical
            raise Stopped(Stop.FETCH_ELSEWHERE)
        if self.executed is not None:
            self.executed.append((pc, word))
        return word

    def _decode(self, word: int) -> Instruction | None:
        return decode_privileged(word)

    def _undefined(self, word: int) -> GuestException:
        """A reserved instruction, unless it is a coprocessor's that may not be used at all."""
        number = coprocessor_of_reserved(word)
        if number is None:
            return GuestException(ExceptionCode.RI)
        if number != MISSING_COPROCESSOR and coprocessor_is_usable(self.state, number):
            return GuestException(ExceptionCode.RI)
        return GuestException(ExceptionCode.CPU, number)

    # Memory.

    def _physical(self, address: int, size: int, access: Access) -> int:
        if address & size - 1:
            raise GuestException(address_error(access), bad_address=address)
        if self._reported is None:
            return self._translation.physical(address, access)
        # Another byte of the same word.
        return self._translation.physical(self._reported, access) + address - self._reported

    def _register_offset(self, address: int, size: int, access: Access) -> int | None:
        """The offset of an access to the privileged-register page; None if it is elsewhere."""
        if not is_privileged_page(self.state, address):
            return None
        if size != _REGISTER_SIZE or address & _REGISTER_SIZE - 1:
            raise GuestException(address_error(access), bad_address=address)
        return address & _PAGE_OFFSET

    def load(self, address: IntegerValue, width: int) -> IntegerValue:
        at, size = address.number, width // 8
        register = self._register_offset(at, size, Access.LOAD)
        if register is not None:
            value = privileged_page.load(self, register)
            assert isinstance(value, IntegerValue)
            return value
        physical = self._physical(at, size, Access.LOAD)
        return IntegerValue(self._bus_access.read(physical, size), width)

    def store(self, address: IntegerValue, value: IntegerValue) -> None:
        at, size = address.number, value.width // 8
        register = self._register_offset(at, size, Access.STORE)
        if register is not None:
            privileged_page.store(self, register, value)
            return
        physical = self._physical(at, size, Access.STORE)
        self._bus_access.write(physical, size, value.number)

    def report_faults_at(self, address: IntegerValue) -> None:
        self._reported = address.number

    def touch(self, address: IntegerValue) -> None:
        if not is_privileged_page(self.state, address.number):
            self._physical(address.number, 1, Access.LOAD)

    def _check_store(self, address: int) -> None:
        if self._register_offset(address, 4, Access.STORE) is None:
            self._physical(address, 4, Access.STORE)

    # Coprocessor 0.

    def read(self, field: str) -> IntegerValue:
        if field == "cp0_usable":
            return IntegerValue(coprocessor_is_usable(self.state, 0), 32)
        return super().read(field)

    def read_count(self) -> IntegerValue:
        return IntegerValue(self.timer.count(), 32)

    def require_coprocessor(self, number: int) -> None:
        if not coprocessor_is_usable(self.state, number):
            raise GuestException(ExceptionCode.CPU, number)

    def system_operation(self, operation: SystemOperation, *values: IntegerValue) -> None:
        self._operations[operation](*(value.number for value in values))

    def reconsider(self) -> None:
        """Everything is looked at anew for each instruction anyway."""

    def return_from_exception(self) -> None:
        self._branch = (return_address(self.state), False)

    def wait_for_interrupt(self) -> None:
        self.timer.update()
        if not self.state.cause & self.state.status & Cause.IP:
            raise Stopped(Stop.WAIT)

    def call_monitor(self) -> None:
        raise Stopped(Stop.MONITOR_CALL)
