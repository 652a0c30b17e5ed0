"""What the two native engines share: the `Cpu` of the algebra on LLVM IR.

`translator.handler_cpu` (tier 0) and `translator.region_cpu` (tier 1) differ in where registers live, how control
moves and how an instruction is left; they supply those parts.
"""

from __future__ import annotations

from abc import abstractmethod

from translator.float_ir import FloatChecking, FloatLowering
from translator.ir import FunctionBuilder, IrValue
from translator.state import FIELDS, OFFSET, CpuState, ExceptionCode
from translator.window_access import WindowAccess

CONVENTION = "preserve_nonecc"
"""Of everything generated code calls by tail call: twelve arguments in registers, none preserved."""
PARAMETERS = "ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias"
"""Of handlers and region entries. `next` + `bias` is the clock after the instruction at `entry`."""

SCALAR_WIDTH = {
    name: 8 * getattr(CpuState, name).size for name, kind, _ in FIELDS if not hasattr(kind, "_length_")
}


def field_pointer(builder: FunctionBuilder, name: str, index: int = 0) -> str:
    """Address of byte `index` of a field of the CPU state."""
    return builder.assign(name, f"getelementptr i8, ptr %state, i64 {OFFSET[name] + index}")


def load_field(builder: FunctionBuilder, name: str, kind: str) -> str:
    """A scalar field of the CPU state as LLVM type `kind`."""
    return builder.assign(name, f"load {kind}, ptr {field_pointer(builder, name)}")


def store_field(builder: FunctionBuilder, name: str, typed: str) -> None:
    """Store `typed` ("i32 7") into a scalar field of the CPU state."""
    builder.emit(f"store {typed}, ptr {field_pointer(builder, name)}")


class NativeCpu(FloatLowering):
    """Semantics → LLVM IR, independent of where registers live."""

    xlen = 32
    system = False

    def __init__(
        self, builder: FunctionBuilder, big_endian: bool, checking: FloatChecking, *, volatile_access: bool
    ) -> None:
        """`volatile_access`: every access to guest memory is done, and in order, as it may fault."""
        super().__init__(builder, checking)
        self.builder = builder
        self.big_endian = big_endian
        self.access: WindowAccess = WindowAccess(builder, "%memory", big_endian, volatile=volatile_access)

    def constant(self, number: int, width: int | None = None) -> IrValue:
        return self.builder.constant(number, width or self.xlen)

    @abstractmethod
    def before_access(self) -> None:
        """Note where the guest's state is, as the next memory access may fault."""

    def after_access(self) -> None:
        """The access has been emitted."""

    @abstractmethod
    def leave_with_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        """End the current IR block by leaving native code at this instruction."""

    @abstractmethod
    def read(self, field: str) -> IrValue: ...

    @abstractmethod
    def write(self, field: str, value: IrValue) -> None: ...

    @property
    def hi(self) -> IrValue:
        return self.read("hi")

    @hi.setter
    def hi(self, value: IrValue) -> None:
        self.write("hi", value)

    @property
    def lo(self) -> IrValue:
        return self.read("lo")

    @lo.setter
    def lo(self, value: IrValue) -> None:
        self.write("lo", value)

    def load(self, address: IrValue, width: int) -> IrValue:
        self.before_access()
        value = self.access.load(address, width)
        self.after_access()
        return value

    def store(self, address: IrValue, value: IrValue) -> None:
        self.settle_float(value)
        self.before_access()
        self.access.store(address, value)
        self.after_access()

    def store_if(self, condition: IrValue, address: IrValue, value: IrValue) -> None:
        if condition.number is not None:
            if condition.number:
                self.store(address, value)
            return
        self.settle_floats()
        store, done = self.builder.label("store_if"), self.builder.label("stored_if")
        value.name, address.name  # noqa: B018  both must be computed on either path
        self.builder.branch_if(condition, store, done)
        self.builder.block(store)
        self.store(address, value)
        self.builder.emit(f"br label %{done}")
        self.builder.block(done)

    def report_faults_at(self, address: IrValue) -> None:
        """A host fault is looked into when it has happened (`runtime.fault_address`)."""

    def touch(self, address: IrValue) -> None:
        """User programs are let through everywhere."""

    def load_linked(self, address: IrValue) -> IrValue:
        self.trap_if((address & 3).ne(0), ExceptionCode.ADEL, address)
        value = self.load(address, 32)
        self.write("link_address", address)
        self.write("link_value", value)
        self.write("link_valid", self.constant(1))
        return value

    def store_conditional(self, address: IrValue, value: IrValue) -> IrValue:
        """The compare with the value that ll read stands for the link, as in QEMU user mode."""
        builder = self.builder
        self.settle_floats()
        self.trap_if((address & 3).ne(0), ExceptionCode.ADES, address)
        linked = self.read("link_valid").ne(0) & self.read("link_address").eq(address)
        expected = self.read("link_value")
        names = ("sc_before", "sc_attempt", "sc_attempted", "sc_done")
        before, attempt, attempted, done = (builder.label(name) for name in names)
        builder.emit(f"br label %{before}")
        builder.block(before)
        builder.branch_if(linked, attempt, done)
        builder.block(attempt)
        self.before_access()
        stored = self.access.compare_exchange(address, expected, value)
        self.after_access()
        builder.emit(f"br label %{attempted}")  # the access may have ended the block
        builder.block(attempted)
        builder.emit(f"br label %{done}")
        builder.block(done)
        success = builder.value("sc", f"phi i1 [ false, %{before} ], [ {stored.name}, %{attempted} ]", 1)
        self.write("link_valid", self.constant(0))  # not before the exchange, which may fault
        return success

    def trap_if(self, condition: IrValue, code: ExceptionCode, bad_address: IrValue | None = None) -> None:
        """`bad_address` becomes BadVAddr."""
        if condition.number == 0:
            return
        self.settle_floats()
        trap, proceed = self.builder.label("trap"), self.builder.label("no_trap")
        self.builder.branch_if(condition, trap, proceed, unlikely=True)
        self.builder.block(trap)
        if bad_address is not None:
            store_field(self.builder, "bad_virtual_address", bad_address.typed())
        self.leave_with_exception(code)
        self.builder.block(proceed)

    def raise_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        """Semantics that raise unconditionally do nothing afterwards; what would follow is unreachable."""
        self.settle_floats()
        self.leave_with_exception(code, coprocessor)
        self.builder.block(self.builder.label("unreachable"))

    def host_cycles(self) -> IrValue:
        """What Count follows unless instructions are counted; 64 bits wide."""
        return self.builder.value("cycles", "call i64 @llvm.readcyclecounter()", 64)
