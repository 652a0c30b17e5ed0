"""Tier 1: the `Cpu` of the algebra inside a region, operands constant and guest registers in SSA form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from translator import region_variables as variables
from translator.dataflow import dataflow
from translator.decode import Instruction
from translator.float_checks import UncheckedFloat
from translator.float_ir import FloatChecking
from translator.float_layout import FloatLayout
from translator.ir import FunctionBuilder, IrValue
from translator.native_cpu import SCALAR_WIDTH, NativeCpu
from translator.predecode import CLOCK_PER_COUNT
from translator.region_variables import Variable
from translator.state import ExceptionCode, Stop


class RegionOperands:
    """Operand fields of one instruction: register numbers as ints, everything else as constants."""

    def __init__(self, builder: FunctionBuilder, instruction: Instruction) -> None:
        registers = dataflow(instruction.encoding).register_fields()
        for name in instruction.encoding.fields:
            number = instruction.field(name)
            setattr(self, name, number if name in registers else builder.constant(number, 32))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no operand field {name}")


class Leaving(Protocol):
    """What the region emitter does for an instruction that may leave the region in its middle."""

    def guest_address(self, pc: int) -> IrValue:
        """What the guest takes the address `pc` of the region's code to be."""

    def note_access(self) -> None:
        """A memory access follows."""

    def counted_clock(self) -> IrValue | None:
        """The clock at the instruction being emitted, if the region counts."""

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int) -> None: ...

    def leave_with_stop(self, stop: Stop) -> None: ...

    def defer(self, produce: Callable[[], list[str]]) -> None:
        """Put lines here that can only be written when the whole region is known."""

    def float_variables(self) -> list[Variable]:
        """The variables of the region that the FPU's control routines read or change."""


class _Gprs:
    def __init__(self, cpu: RegionCpu) -> None:
        self._cpu = cpu

    def __getitem__(self, register: int) -> IrValue:
        return self._cpu.get(variables.gpr(register)) if register else self._cpu.constant(0)

    def __setitem__(self, register: int, value: IrValue) -> None:
        if register:
            self._cpu.put(variables.gpr(register), value)
        elif self._cpu.loads_here:
            # A program that loads into $zero wants to see whether it may.
            self._cpu.builder.emit(f'call void asm sideeffect "", "r"({value.typed()})')


class _ConditionCodes:
    def __init__(self, cpu: RegionCpu) -> None:
        self._cpu = cpu

    def __getitem__(self, register: int) -> IrValue:
        return self._cpu.get(variables.condition_code(register)).trunc(1)

    def __setitem__(self, register: int, value: IrValue) -> None:
        self._cpu.put(variables.condition_code(register), value.zext(32))


class _FloatWords:
    """Single words; of a pair that is held as a double, its halves."""

    def __init__(self, cpu: RegionCpu, high: bool) -> None:
        self._cpu = cpu
        self._high = high

    def __getitem__(self, register: int) -> IrValue:
        cpu = self._cpu
        word = cpu.layout.word_index(register, self._high)
        if not cpu.layout.is_doubleword(word >> 1):
            return cpu.get(variables.float_word(word))
        return half_of(cpu.builder, cpu.get(variables.float_doubleword(word >> 1)), word & 1)

    def __setitem__(self, register: int, value: IrValue) -> None:
        cpu = self._cpu
        word = cpu.layout.word_index(register, self._high)
        if not cpu.layout.is_doubleword(word >> 1):
            cpu.put(variables.float_word(word), value)
            return
        pair = variables.float_doubleword(word >> 1)
        cpu.put(pair, with_half(cpu.builder, cpu.get(pair), word & 1, value))


class _FloatDoublewords:
    """Doublewords; of a pair that is held as two floats, both together."""

    def __init__(self, cpu: RegionCpu) -> None:
        self._cpu = cpu

    def __getitem__(self, register: int) -> IrValue:
        cpu = self._cpu
        index = cpu.layout.doubleword_index(register)
        if cpu.layout.is_doubleword(index):
            return cpu.get(variables.float_doubleword(index))
        low, high = (cpu.get(variables.float_word(2 * index + half)) for half in (0, 1))
        return with_half(cpu.builder, with_half(cpu.builder, cpu.constant(0, 64), 0, low), 1, high)

    def __setitem__(self, register: int, value: IrValue) -> None:
        cpu = self._cpu
        index = cpu.layout.doubleword_index(register)
        if cpu.layout.is_doubleword(index):
            cpu.put(variables.float_doubleword(index), value)
            return
        for half in (0, 1):
            cpu.put(variables.float_word(2 * index + half), half_of(cpu.builder, value, half))


def half_of(builder: FunctionBuilder, pair: IrValue, half: int) -> IrValue:
    """The low (0) or high (1) word of a doubleword, without leaving the vector registers."""
    halves = builder.assign("halves", f"bitcast double {pair.as_float()} to <2 x float>")
    word = builder.assign("half", f"extractelement <2 x float> {halves}, i32 {half}")
    return IrValue.from_float(builder, word, 32)


def with_half(builder: FunctionBuilder, pair: IrValue, half: int, word: IrValue) -> IrValue:
    """`pair` with its low (0) or high (1) word replaced."""
    halves = builder.assign("halves", f"bitcast double {pair.as_float()} to <2 x float>")
    text = f"insertelement <2 x float> {halves}, float {word.as_float()}, i32 {half}"
    merged = builder.assign("merged", text)
    return IrValue.from_float(builder, builder.assign("pair", f"bitcast <2 x float> {merged} to double"), 64)


class RegionCpu(NativeCpu):
    """Emits one block at a time; values known in the block are not loaded twice."""

    def __init__(
        self,
        builder: FunctionBuilder,
        leaving: Leaving,
        layout: FloatLayout,
        *,
        big_endian: bool,
        checking: FloatChecking,
        precise: bool,
    ) -> None:
        super().__init__(builder, big_endian, checking, volatile_access=precise)
        self._leaving = leaving
        self.layout = layout
        self.gpr = _Gprs(self)
        self.fcc = _ConditionCodes(self)
        self.fpr32 = _FloatWords(self, high=False)
        self.fpr_high = _FloatWords(self, high=True)
        self.fpr64 = _FloatDoublewords(self)
        self.used: dict[Variable, None] = {}
        """Every variable of the region, in order of first use."""
        self.written: dict[Variable, None] = {}
        """Variables written so far in the block (since an access had them stored), in order."""
        self.known: dict[Variable, IrValue] = {}
        """Current values within the block."""
        self.instruction_address = 0
        self._last_load: int | None = None
        self.condition: IrValue | None = None
        """Of the branch in the block, once its instruction has been emitted."""
        self.target: IrValue | None = None
        """Of the register jump in the block."""
        self._conditional = 0

    def start_block(self) -> None:
        """Forget what was known: control may come from elsewhere."""
        self.known = {}
        self.written = {}
        self.condition = self.target = None

    def get(self, variable: Variable) -> IrValue:
        value = self.known.get(variable)
        if value is None:
            self.used[variable] = None
            value = self._loaded(variable)
            if not self._conditional:
                self.known[variable] = value
        return value

    def _loaded(self, variable: Variable) -> IrValue:
        name = self.builder.assign(variable.name, f"load {variable.kind}, ptr %{variable.name}")
        if variable.kind == "double":
            return IrValue.from_float(self.builder, name, 64)
        if variable.kind == "float":
            return IrValue.from_float(self.builder, name, 32)
        return IrValue(self.builder, name, int(variable.kind[1:]))

    def put(self, variable: Variable, value: IrValue) -> None:
        if variable.kind not in ("double", "float"):
            self.settle_float(value)
        self.used[variable] = None
        self.written[variable] = None
        if self._conditional:
            self.known.pop(variable, None)
        else:
            self.known[variable] = value
            if isinstance(value, UncheckedFloat) and value.is_unchecked:
                return  # stored by floats_checked, if it is still the variable's value then
        if variable.kind in ("double", "float"):
            self.builder.emit(f"store {variable.kind} {value.as_float()}, ptr %{variable.name}")
        else:
            self.builder.emit(f"store {value.typed()}, ptr %{variable.name}")

    defers_checks = True

    def floats_checked(self, values: Sequence[UncheckedFloat]) -> None:
        checked = set(map(id, values))
        for variable, value in self.known.items():
            if id(value) in checked:
                self.builder.emit(f"store {variable.kind} {value.as_float()}, ptr %{variable.name}")

    @property
    def pc(self) -> IrValue:
        return self._leaving.guest_address(self.instruction_address)

    def read(self, field: str) -> IrValue:
        return self.get(variables.scalar(field, SCALAR_WIDTH[field]))

    def write(self, field: str, value: IrValue) -> None:
        self.put(variables.scalar(field, SCALAR_WIDTH[field]), value)

    def read_count(self) -> IrValue:
        clock = self._leaving.counted_clock()
        count = self.host_cycles() if clock is None else clock.divide_unsigned(CLOCK_PER_COUNT)
        return count.trunc(32)

    @property
    def loads_here(self) -> bool:
        """Whether the instruction being emitted has loaded from memory."""
        return self._last_load == self.instruction_address

    def load(self, address: IrValue, width: int) -> IrValue:
        self._last_load = self.instruction_address
        return super().load(address, width)

    def before_access(self) -> None:
        self._leaving.note_access()

    def store_if(self, condition: IrValue, address: IrValue, value: IrValue) -> None:
        self._conditional += 1
        super().store_if(condition, address, value)
        self._conditional -= 1

    def store_conditional(self, address: IrValue, value: IrValue) -> IrValue:
        self._conditional += 1
        done = super().store_conditional(address, value)
        self._conditional -= 1
        return done

    @property
    def is_conditional(self) -> bool:
        """Whether the code being emitted does not dominate the rest of the block."""
        return self._conditional > 0

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int = 0) -> None:
        self._leaving.leave_with_exception(code, coprocessor)

    def leave_with_stop(self, stop: Stop) -> None:
        self._leaving.leave_with_stop(stop)

    def store_float_state(self) -> None:
        self._leaving.defer(self._float_state_stores)

    def reload_float_state(self) -> None:
        self._leaving.defer(self._float_state_loads)
        for variable in [*map(variables.condition_code, range(8)), *_FLOAT_RECORD]:
            self.known.pop(variable, None)
            if variable in self.used:
                self.written[variable] = None

    def _float_state_stores(self) -> list[str]:
        return [line for v in self._leaving.float_variables() for line in store_to_state(self.builder, v)]

    def _float_state_loads(self) -> list[str]:
        return [line for v in self._leaving.float_variables() for line in load_from_state(self.builder, v)]

    def branch(self, condition: IrValue, offset: IrValue) -> None:
        self.condition = condition

    def branch_likely(self, condition: IrValue, offset: IrValue) -> None:
        self.condition = condition

    def jump(self, target: IrValue) -> None:
        self.target = target

    def jump_in_segment(self, index: IrValue) -> None:
        """The target is a constant that the region knows."""


_FLOAT_RECORD = [
    variables.scalar(field, SCALAR_WIDTH[field])
    for field in ("last_fp_operation", "last_fp_operand0", "last_fp_operand1", "last_fp_operand2")
]


def is_float_control(variable: Variable) -> bool:
    """Whether cfc1 and ctc1 read or change it."""
    return variable in _FLOAT_RECORD or variable.name.startswith("fcc")


def store_to_state(
    builder: FunctionBuilder, variable: Variable, value: str | None = None, *, volatile: bool = False
) -> list[str]:
    """Lines that store a variable (its current slot contents, or the operand `value`) to the CPU state."""
    lines = []
    if value is None:
        value = builder.fresh(f"{variable.name}.out")
        lines.append(f"  {value} = load {variable.kind}, ptr %{variable.name}")
    if variable.stored:
        narrow = builder.fresh(f"{variable.name}.narrow")
        lines.append(f"  {narrow} = trunc {variable.kind} {value} to {variable.stored}")
        value = narrow
    at = builder.fresh(f"{variable.name}.at")
    lines.append(f"  {at} = getelementptr i8, ptr %state, i64 {variable.offset}")
    store = "store volatile" if volatile else "store"
    lines.append(f"  {store} {variable.state_kind} {value}, ptr {at}, align {variable.alignment}")
    return lines


def load_from_state(builder: FunctionBuilder, variable: Variable) -> list[str]:
    """Lines that load a variable's slot from the CPU state."""
    at, value = builder.fresh(f"{variable.name}.at"), builder.fresh(f"{variable.name}.in")
    lines = [
        f"  {at} = getelementptr i8, ptr %state, i64 {variable.offset}",
        f"  {value} = load {variable.state_kind}, ptr {at}, align {variable.alignment}",
    ]
    if variable.stored:
        wide = builder.fresh(f"{variable.name}.wide")
        lines.append(f"  {wide} = zext {variable.stored} {value} to {variable.kind}")
        value = wide
    lines.append(f"  store {variable.kind} {value}, ptr %{variable.name}")
    return lines
