"""The value algebra: what instruction semantics are written in.

A `Value` is a bit vector of known width. The semantics in `translator.isa` combine Values with operators and
the named methods below; an engine supplies the meaning: Python integers (`translator.integers`), LLVM IR text
(`translator.ir`), or only a record of what was touched (`translator.dataflow`). Python integers may stand
on the right-hand side of every operator.

`Cpu` is what semantics see of a vCPU. Registers are indexed by the operand fields of the instruction (or a fixed
number), so that the same function serves an engine whose operands are only known at run time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, Protocol, Self

from translator.state import ExceptionCode


class Value(ABC):
    """A bit vector of `width` bits; arithmetic wraps. Subclasses implement the six primitives at the end."""

    __slots__ = ("width",)
    width: int

    def __add__(self, other: Self | int) -> Self:
        return self.binary("add", self.lift(other))

    def __sub__(self, other: Self | int) -> Self:
        return self.binary("sub", self.lift(other))

    def __mul__(self, other: Self | int) -> Self:
        return self.binary("mul", self.lift(other))

    def __and__(self, other: Self | int) -> Self:
        return self.binary("and", self.lift(other))

    def __or__(self, other: Self | int) -> Self:
        return self.binary("or", self.lift(other))

    def __xor__(self, other: Self | int) -> Self:
        return self.binary("xor", self.lift(other))

    def __invert__(self) -> Self:
        return self ^ -1

    def __lshift__(self, other: Self | int) -> Self:
        """Shift left; the amount must be smaller than the width (so for every shift)."""
        return self.binary("shl", self.lift(other))

    def shift_right(self, other: Self | int) -> Self:
        return self.binary("lshr", self.lift(other))

    def shift_right_signed(self, other: Self | int) -> Self:
        return self.binary("ashr", self.lift(other))

    def rotate_right(self, other: Self | int) -> Self:
        return self.binary("rotr", self.lift(other))

    def divide_unsigned(self, other: Self | int) -> Self:
        """Quotient; the divisor must not be 0 (so for every division; signed: nor MIN / -1)."""
        return self.binary("udiv", self.lift(other))

    def remainder_unsigned(self, other: Self | int) -> Self:
        return self.binary("urem", self.lift(other))

    def divide_signed(self, other: Self | int) -> Self:
        """Quotient, truncated towards zero."""
        return self.binary("sdiv", self.lift(other))

    def remainder_signed(self, other: Self | int) -> Self:
        return self.binary("srem", self.lift(other))

    def eq(self, other: Self | int) -> Self:
        return self.compare("eq", self.lift(other))

    def ne(self, other: Self | int) -> Self:
        return self.compare("ne", self.lift(other))

    def lt_unsigned(self, other: Self | int) -> Self:
        return self.compare("ult", self.lift(other))

    def le_unsigned(self, other: Self | int) -> Self:
        return self.compare("ule", self.lift(other))

    def lt_signed(self, other: Self | int) -> Self:
        return self.compare("slt", self.lift(other))

    def le_signed(self, other: Self | int) -> Self:
        return self.compare("sle", self.lift(other))

    def zext(self, width: int) -> Self:
        return self if width == self.width else self.resize("zext", width)

    def sext(self, width: int) -> Self:
        return self if width == self.width else self.resize("sext", width)

    def trunc(self, width: int) -> Self:
        return self if width == self.width else self.resize("trunc", width)

    def bits(self, low: int, width: int) -> Self:
        """The `width` bits from bit `low` upward."""
        return (self.shift_right(low) if low else self).trunc(width)

    def count_leading_zeros(self) -> Self:
        """0 … width, in the width of the operand."""
        return self.unary("ctlz")

    def byte_swap(self) -> Self:
        return self.unary("bswap")

    def lift(self, other: Self | int) -> Self:
        """`other` as a Value of this width."""
        if isinstance(other, int):
            return self.constant(other, self.width)
        assert other.width == self.width, (self.width, other.width)
        return other

    @abstractmethod
    def constant(self, number: int, width: int) -> Self:
        """A constant of the same kind of Value."""

    @abstractmethod
    def binary(self, operation: str, other: Self) -> Self:
        """One of add sub mul and or xor shl lshr ashr rotr udiv urem sdiv srem on equal widths."""

    @abstractmethod
    def compare(self, relation: str, other: Self) -> Self:
        """One of eq ne ult ule slt sle; the result has width 1."""

    @abstractmethod
    def unary(self, operation: str) -> Self:
        """One of ctlz bswap."""

    @abstractmethod
    def resize(self, kind: str, width: int) -> Self:
        """One of zext sext trunc to another width."""

    @abstractmethod
    def select(self, if_true: Self, if_false: Self) -> Self:
        """On a Value of width 1: one of two Values of equal width."""


class SystemOperation(Enum):
    """What privileged instructions do beyond moving state; the value names the routine of native code."""

    UPDATE_TIMER = "update_timer"
    """Set Cause.TI and IP7 if Count has reached Compare since they were looked at last."""
    WRITE_COUNT = "write_count"
    """With the value to write."""
    WRITE_COMPARE = "write_compare"
    """With the value to write; clears Cause.TI."""
    STOP_OR_START_COUNT = "stop_or_start_count"
    """With the value Cause is about to get, as its DC bit says."""
    TLB_READ = "tlb_read"
    TLB_WRITE_INDEXED = "tlb_write_indexed"
    TLB_WRITE_RANDOM = "tlb_write_random"
    TLB_PROBE = "tlb_probe"


class RegisterFile(Protocol):
    """Registers indexed by an operand field (`i.rs`, `i.fd`, …)."""

    def __getitem__(self, register: Any) -> Any: ...
    def __setitem__(self, register: Any, value: Any) -> None: ...


class Cpu(Protocol):
    """A vCPU as instruction semantics see it. `xlen` is the width of a general register."""

    xlen: int
    big_endian: bool
    system: bool
    """Whether the privileged architecture exists, rather than only what user programs see."""
    gpr: RegisterFile
    fcc: RegisterFile
    """FPU condition codes, width 1."""
    fpr32: RegisterFile
    """The low word of an FPU register: formats S and W, lwc1, mtc1."""
    fpr64: RegisterFile
    """The doubleword in an FPU register (FR=1) or even-odd pair (FR=0): formats D and L, ldc1."""
    fpr_high: RegisterFile
    """The high word of the doubleword: mthc1, mfhc1."""
    hi: Any
    lo: Any

    @property
    def pc(self) -> Any:
        """Address of the instruction."""

    def constant(self, number: int, width: int | None = None) -> Any:
        """A constant; the width defaults to xlen."""

    def read(self, field: str) -> Any:
        """A scalar field of the CPU state by its name in `translator.state.FIELDS`."""

    def write(self, field: str, value: Any) -> None: ...

    def load(self, address: Any, width: int) -> Any:
        """`width` bits at `address` in guest byte order; faults as the address space demands."""

    def store(self, address: Any, value: Any) -> None: ...

    def store_if(self, condition: Any, address: Any, value: Any) -> None:
        """Store, or touch nothing at all."""

    def report_faults_at(self, address: Any) -> None:
        """The address that this instruction's accesses are for, though they are to others around it."""

    def touch(self, address: Any) -> None:
        """Translate `address` as a load would, but load nothing. User programs are let through everywhere."""

    def load_linked(self, address: Any) -> Any:
        """A 32-bit load that starts an atomic read-modify-write."""

    def store_conditional(self, address: Any, value: Any) -> Any:
        """Store `value` if the link is unbroken; the outcome, width 1."""

    def branch(self, condition: Any, offset: Any) -> None:
        """After the delay slot, go to pc + 4 + offset if `condition`, else to pc + 8."""

    def branch_likely(self, condition: Any, offset: Any) -> None:
        """Like `branch`, but the delay slot is nullified when not taken."""

    def jump(self, target: Any) -> None:
        """After the delay slot, go to the address `target`."""

    def jump_in_segment(self, index: Any) -> None:
        """After the delay slot, go to `index` << 2 in the 256 MiB segment of the delay slot."""

    def trap_if(self, condition: Any, code: ExceptionCode) -> None:
        """Raise an exception, before any effect of the instruction, if `condition`."""

    def raise_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        """Raise an exception unconditionally."""

    def float_arithmetic(self, operation: str, kind: str, *operands: Any) -> Any:
        """add sub mul div sqrt madd msub nmadd nmsub recip rsqrt in format `kind` ("s", "d"), on bits.

        Rounds as FCSR.RM says, accumulates flags, raises FPE where enabled, and gives MIPS's NaN results.
        """

    def float_compare(self, condition: int, kind: str, a: Any, b: Any) -> Any:
        """c.cond.fmt: bit 0 of `condition` unordered, 1 equal, 2 less, 3 signal on quiet NaN; width 1."""

    def float_convert(self, operation: str, to: str, kind: str, operand: Any) -> Any:
        """cvt round trunc ceil floor from format `kind` to format `to` ("s", "d", "w", "l")."""

    def read_fcsr(self) -> Any:
        """FCSR with exact Cause and Flags, 32 bits."""

    def write_fcsr(self, value: Any) -> None:
        """Set FCSR; raises FPE if the new Cause and Enables say so."""

    def read_count(self) -> Any:
        """The Count register now, 32 bits."""


class SystemCpu(Cpu, Protocol):
    """A vCPU with the privileged architecture, as the semantics of privileged instructions see it."""

    def require_coprocessor(self, number: int) -> None:
        """Raise Coprocessor Unusable unless the mode or Status allows coprocessor `number` (0 or 1)."""

    def system_operation(self, operation: SystemOperation, *values: Any) -> None:
        """Have the run time do `operation`."""

    def reconsider(self) -> None:
        """Before the next instruction, look again at mode, address space and pending interrupts."""

    def return_from_exception(self) -> None:
        """eret."""

    def wait_for_interrupt(self) -> None:
        """Go on only when an unmasked interrupt is pending."""

    def call_monitor(self) -> None:
        """Leave to the monitor, which does the call and goes on behind it."""
