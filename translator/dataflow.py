"""What an instruction touches: its semantics run on a Cpu that records accesses and computes nothing.

Nothing here is kept by hand: which operand fields are registers, which are read or written, whether memory is
accessed or an exception is possible all follow from the one definition of the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, Self

from translator.algebra import RegisterFile, SystemOperation, Value
from translator.encoding import FIELD_WIDTH, Encoding, Flow
from translator.state import CpuState, ExceptionCode

REGISTER_FILES: Final = ("gpr", "fcc", "fpr32", "fpr64", "fpr_high")


class Location(NamedTuple):
    """A piece of vCPU state: a register of a file, or a scalar field of the state."""

    file: str
    """One of REGISTER_FILES, or the name of a scalar field of `translator.state.FIELDS`."""
    register: str | int | None = None
    """The operand field that selects the register, or its fixed number; None for a scalar field."""


@dataclass(frozen=True, slots=True)
class Dataflow:
    """What one instruction of the table may touch, whatever its operands."""

    reads: frozenset[Location]
    writes: frozenset[Location]
    immediates: frozenset[str]
    """Operand fields used as numbers. The others select registers, or are ignored."""
    loads: bool
    stores: bool
    exceptions: frozenset[ExceptionCode]
    """Exceptions it raises itself, under a condition or always; memory faults are not among them."""
    flow: Flow
    """As its semantics direct control; agrees with the flow that its encoding declares."""
    changes_system: bool
    """Whether mode, address translation, time or interrupts may be different afterwards."""

    @property
    def accesses_memory(self) -> bool:
        return self.loads or self.stores

    def register_fields(self, *files: str) -> frozenset[str]:
        """The operand fields that select registers of `files` (of any file, if none is given)."""
        return frozenset(
            at.register
            for at in self.reads | self.writes
            if at.file in (files or REGISTER_FILES) and isinstance(at.register, str)
        )


@cache
def dataflow(encoding: Encoding) -> Dataflow:
    """The record of one instruction."""
    return record(encoding, RecordingCpu())


def record(encoding: Encoding, cpu: RecordingCpu) -> Dataflow:
    """Run the semantics on `cpu`, which must be fresh, and summarise."""
    operands = _RecordingOperands(encoding, cpu.xlen)
    encoding.semantics(cpu, operands)
    selectors = {at.register for at in cpu.reads | cpu.writes}
    return Dataflow(
        reads=frozenset(cpu.reads),
        writes=frozenset(cpu.writes),
        immediates=frozenset(operands.used - selectors),
        loads=cpu.loads,
        stores=cpu.stores,
        exceptions=frozenset(cpu.exceptions),
        flow=cpu.flow,
        changes_system=cpu.changes_system,
    )


def gpr_destination(encoding: Encoding) -> str | None:
    """The operand field that names the general register the instruction writes, if one does."""
    fields = {at.register for at in dataflow(encoding).writes if at.file == "gpr"}
    named = [register for register in fields if isinstance(register, str)]
    assert len(named) <= 1, f"{encoding.mnemonic} writes {named}"
    return named[0] if named else None


def reads_gpr_destination(encoding: Encoding) -> bool:
    """Whether the instruction also reads the general register it writes by a field."""
    return Location("gpr", gpr_destination(encoding)) in dataflow(encoding).reads


class UnknownValue(Value):
    """A value of which only the width is known."""

    __slots__ = ()

    def __init__(self, width: int) -> None:
        self.width = width

    def __bool__(self) -> bool:
        raise TypeError("a Value has no truth value; use select()")

    def constant(self, number: int, width: int) -> Self:
        return self._new(width)

    def binary(self, operation: str, other: Self) -> Self:
        return self._new(self.width)

    def compare(self, relation: str, other: Self) -> Self:
        return self._new(1)

    def unary(self, operation: str) -> Self:
        return self._new(self.width)

    def resize(self, kind: str, width: int) -> Self:
        assert (width < self.width) == (kind == "trunc"), f"{kind} from {self.width} to {width} bits"
        return self._new(width)

    def select(self, if_true: Self, if_false: Self) -> Self:
        assert self.width == 1 and if_true.width == if_false.width
        return self._new(if_true.width)

    def _new(self, width: int) -> Self:
        # Not type(self): an operand field is no longer itself once it has been computed with.
        return UnknownValue(width)  # type: ignore[return-value]


class _Operand(UnknownValue):
    """An operand field, usable both as a register selector and as a number."""

    __slots__ = ("name",)

    def __init__(self, name: str, width: int) -> None:
        super().__init__(width)
        self.name = name


class _RecordingOperands:
    """The operand fields of an instruction, noting which ones its semantics asks for."""

    def __init__(self, encoding: Encoding, xlen: int) -> None:
        self._encoding = encoding
        self._xlen = xlen
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> _Operand:
        if name not in self._encoding.fields:
            raise AttributeError(f"{self._encoding.mnemonic} has no operand field {name}")
        self.used.add(name)
        return _Operand(name, self._xlen)


class _RecordingFile:
    """A register file that notes which registers are read and written."""

    def __init__(self, cpu: RecordingCpu, file: str, width: int) -> None:
        self._cpu = cpu
        self._file = file
        self._width = width

    def _location(self, register: Any) -> Location:
        if isinstance(register, _Operand):
            assert FIELD_WIDTH[register.name] <= 5, register.name
            return Location(self._file, register.name)
        assert isinstance(register, int), f"{self._file}[{register!r}] is neither an operand nor a number"
        return Location(self._file, register)

    def __getitem__(self, register: Any) -> UnknownValue:
        self._cpu.reads.add(self._location(register))
        return UnknownValue(self._width)

    def __setitem__(self, register: Any, value: UnknownValue) -> None:
        assert value.width == self._width, f"{self._file} gets {value.width} bits"
        self._cpu.writes.add(self._location(register))


class RecordingCpu:
    """A `translator.algebra.Cpu` that only records."""

    def __init__(self, xlen: int = 32, big_endian: bool = False) -> None:
        self.system = False
        self.xlen = xlen
        self.big_endian = big_endian
        self.reads: set[Location] = set()
        self.writes: set[Location] = set()
        self.loads = False
        self.stores = False
        self.exceptions: set[ExceptionCode] = set()
        self.flow = Flow.NEXT
        self.changes_system = False
        self.gpr: RegisterFile = _RecordingFile(self, "gpr", xlen)
        self.fcc: RegisterFile = _RecordingFile(self, "fcc", 1)
        self.fpr32: RegisterFile = _RecordingFile(self, "fpr32", 32)
        self.fpr64: RegisterFile = _RecordingFile(self, "fpr64", 64)
        self.fpr_high: RegisterFile = _RecordingFile(self, "fpr_high", 32)

    @property
    def pc(self) -> UnknownValue:
        self.reads.add(Location("pc"))
        return UnknownValue(self.xlen)

    @property
    def hi(self) -> UnknownValue:
        return self._read_half("hi")

    @hi.setter
    def hi(self, value: UnknownValue) -> None:
        self._write_half("hi", value)

    @property
    def lo(self) -> UnknownValue:
        return self._read_half("lo")

    @lo.setter
    def lo(self, value: UnknownValue) -> None:
        self._write_half("lo", value)

    def _read_half(self, name: str) -> UnknownValue:
        self.reads.add(Location(name))
        return UnknownValue(self.xlen)

    def _write_half(self, name: str, value: UnknownValue) -> None:
        assert value.width == self.xlen
        self.writes.add(Location(name))

    def constant(self, number: int, width: int | None = None) -> UnknownValue:
        return UnknownValue(width or self.xlen)

    def read(self, field: str) -> UnknownValue:
        self.reads.add(Location(field))
        return UnknownValue(8 * getattr(CpuState, field).size)

    def write(self, field: str, value: UnknownValue) -> None:
        self.writes.add(Location(field))

    def load(self, address: UnknownValue, width: int) -> UnknownValue:
        self.loads = True
        return UnknownValue(width)

    def store(self, address: UnknownValue, value: UnknownValue) -> None:
        self.stores = True

    def store_if(self, condition: UnknownValue, address: UnknownValue, value: UnknownValue) -> None:
        assert condition.width == 1
        self.stores = True

    def report_faults_at(self, address: UnknownValue) -> None:
        pass

    def touch(self, address: UnknownValue) -> None:
        pass

    def load_linked(self, address: UnknownValue) -> UnknownValue:
        self.loads = True
        self.writes |= _LINK
        return UnknownValue(32)

    def store_conditional(self, address: UnknownValue, value: UnknownValue) -> UnknownValue:
        self.stores = True
        self.reads |= _LINK
        self.writes.add(Location("link_valid"))
        return UnknownValue(1)

    def branch(self, condition: UnknownValue, offset: UnknownValue) -> None:
        self._direct(Flow.BRANCH)

    def branch_likely(self, condition: UnknownValue, offset: UnknownValue) -> None:
        self._direct(Flow.BRANCH_LIKELY)

    def jump(self, target: UnknownValue) -> None:
        self._direct(Flow.JUMP_REGISTER)

    def jump_in_segment(self, index: UnknownValue) -> None:
        self._direct(Flow.JUMP)

    def trap_if(self, condition: UnknownValue, code: ExceptionCode) -> None:
        assert condition.width == 1
        self.exceptions.add(code)

    def raise_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        self.exceptions.add(code)
        self._direct(Flow.EXCEPTION)

    def float_arithmetic(self, operation: str, kind: str, *operands: UnknownValue) -> UnknownValue:
        self._compute_float()
        return UnknownValue(_FORMAT_WIDTH[kind])

    def float_compare(self, condition: int, kind: str, a: UnknownValue, b: UnknownValue) -> UnknownValue:
        self._compute_float()
        return UnknownValue(1)

    def float_convert(self, operation: str, to: str, kind: str, operand: UnknownValue) -> UnknownValue:
        self._compute_float()
        return UnknownValue(_FORMAT_WIDTH[to])

    def read_fcsr(self) -> UnknownValue:
        self.reads.add(Location("fcsr"))
        return UnknownValue(32)

    def write_fcsr(self, value: UnknownValue) -> None:
        self.writes.add(Location("fcsr"))
        self.exceptions.add(ExceptionCode.FPE)

    def read_count(self) -> UnknownValue:
        self.reads.add(Location("clock"))
        return UnknownValue(32)

    def require_coprocessor(self, number: int) -> None:
        self.exceptions.add(ExceptionCode.CPU)

    def system_operation(self, operation: SystemOperation, *values: UnknownValue) -> None:
        self.changes_system = True

    def reconsider(self) -> None:
        self.changes_system = True

    def return_from_exception(self) -> None:
        self.changes_system = True
        self._direct(Flow.EXCEPTION)

    def wait_for_interrupt(self) -> None:
        self.changes_system = True

    def call_monitor(self) -> None:
        self.changes_system = True

    def _compute_float(self) -> None:
        self.reads.add(Location("fcsr"))
        self.writes.add(Location("fcsr"))
        self.exceptions.add(ExceptionCode.FPE)

    def _direct(self, flow: Flow) -> None:
        assert self.flow is Flow.NEXT, "an instruction directs control once"
        self.flow = flow


_LINK: Final = {Location("link_address"), Location("link_valid"), Location("link_value")}
_FORMAT_WIDTH: Final = {"s": 32, "w": 32, "d": 64, "l": 64}
