"""A region as one LLVM function, with one small function for each of its entries.

Every guest register is a stack slot that LLVM's SROA turns into SSA values. Where the region can be left –
branches to elsewhere, exceptions, stop requests at cycles –, the slots that may have changed are stored to the CPU
state. In precise regions they are stored in front of every memory access as well, with the number of the access.
All these stores and the accesses are volatile, so that LLVM leaves them in order. (Stack maps would cost no
instruction, but LLVM moves values to other registers between a stack map and the access behind it.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from translator.encoding import Flow
from translator.float_ir import FloatChecking
from translator.float_layout import float_layout
from translator.float_routines import float_declarations
from translator.ir import UNLIKELY_METADATA, FunctionBuilder, IrValue, intrinsic_declarations
from translator.native_cpu import CONVENTION, PARAMETERS, field_pointer, load_field, store_field
from translator.predecode import ENTRY_SIZE
from translator.region import Block, Region
from translator.region_cpu import RegionCpu, RegionOperands, is_float_control, load_from_state, store_to_state
from translator.region_exits import EXIT_SLOTS, RegionExits
from translator.region_variables import Variable
from translator.source_lines import SourceLines
from translator.state import ExceptionCode, Stop
from translator.translation import AccessPoint, Mode


@dataclass
class RegionIr:
    """The LLVM module of a region, and what the run time must know about it."""

    text: str
    entries: dict[int, str]
    """Guest address → symbol."""
    access_points: list[AccessPoint]
    """By the number that each stores in `access_point` before it."""
    is_movable: bool = False
    """See `Translation`."""


def emit_region(region: Region, mode: Mode, source_lines: bool = False) -> RegionIr:
    """Translate `region`. `source_lines` adds debug locations that name the guest instructions."""
    return emitter_class(mode)(region, mode, source_lines).emit()


def emitter_class(mode: Mode) -> type[RegionEmitter]:
    """The emitter for user programs or, in system mode, the one that knows tables and privileged state."""
    if not mode.system:
        return RegionEmitter
    from translator.system.region_ir import SystemRegionEmitter  # late: it builds on this module

    return SystemRegionEmitter


@dataclass(frozen=True)
class Path:
    """What a way through a block does to the variables that differ from the CPU state."""

    stores: bool
    """Whether it stores them all, at an access."""
    written: frozenset[Variable]
    """Written (since then)."""

    def dirty(self, before: set[Variable]) -> set[Variable]:
        """Which ones differ at its end, if `before` did at its start."""
        return set(self.written) if self.stores else before | self.written


class RegionEmitter:
    """Emits the blocks in order; what depends on the whole region is deferred until all are known."""

    routines: Sequence[str] = (
        "leave_region",
        "leave_region_to_address",
        "leave_at_entry_limit",
        "leave_at_entry_exception",
        "leave_at_entry_fpu_mode",
    )
    """Of the interpreter, that regions go to."""

    def __init__(self, region: Region, mode: Mode, source_lines: bool) -> None:
        self.region = region
        self.mode = mode
        self.source_lines = SourceLines() if source_lines else None
        self.builder = FunctionBuilder()
        self.exits: RegionExits[tuple[int, Path]] = RegionExits(self.builder)
        self.access_points: list[AccessPoint] = []
        self.deferred: list[tuple[int, str, Callable[[], list[str]]]] = []
        self.retreating = region.retreating_edges()
        self.paths: dict[int, list[Path]] = {start: [] for start in region.blocks}
        """The ways through each block."""
        self.is_stored = False
        """Whether an access in the block has already had the dirty variables stored."""
        self.dirty_at: dict[int, set[Variable]] = {}
        self.block: Block = Block(0)
        self.retired = 0
        self.cpu = self.make_cpu()
        self.in_slot = False

    def make_cpu(self) -> RegionCpu:
        """What the semantics of the region's instructions run on."""
        return RegionCpu(
            self.builder,
            self,
            float_layout(self.region, self.mode.wide_fpu),
            big_endian=self.mode.big_endian,
            checking=FloatChecking.ALWAYS if self.mode.float_checked else FloatChecking.NEVER,
            precise=self.mode.precise,
        )

    def emit(self) -> RegionIr:
        for block in self.region.blocks.values():
            self.emit_block(block)
        self.builder.suffix = ""
        self.exits.emit(self.finish_exit)
        self.find_dirty()
        body = self.resolve()
        entries = {pc: f"region_{self.region.seed:08x}_entry_{pc:08x}" for pc in self.region.entries}
        prologue = self.prologue()
        name = f"region_{self.region.seed:08x}"
        text = "\n".join(
            [
                f"define internal {CONVENTION} void @{name}({PARAMETERS}) {_ATTRIBUTES}{self.scope()} {{",
                *prologue,
                *body,
                "}",
            ]
        )
        thunks = [
            self.entry_thunk(pc, symbol, name, index) for index, (pc, symbol) in enumerate(entries.items())
        ]
        text = "\n".join([text, *thunks])
        declarations = [
            *(f"declare {CONVENTION} void @{routine}({PARAMETERS})" for routine in self.routines),
            "declare i64 @llvm.readcyclecounter()",
            intrinsic_declarations(text),
            float_declarations(text),
            UNLIKELY_METADATA,
            self.source_lines.metadata() if self.source_lines else "",
        ]
        return RegionIr("\n".join([text, *declarations]), entries, self.access_points)

    def entry_thunk(self, pc: int, symbol: str, region: str, index: int) -> str:
        """What stands in the predecoded entry of `pc`: it enters the region at entry number `index`."""
        return f"""\
define {CONVENTION} void @{symbol}({PARAMETERS}) nounwind {{
{enter_region(region, index, self.region.seed)}
}}"""

    def reserve(self) -> int:
        """How much the clock must be able to advance without coming to the limit, or the region is left."""
        return 0

    def scope(self) -> str:
        """What the function's definition says of its debug information."""
        return self.source_lines.scope if self.source_lines else ""

    # Addresses of code.

    def guest_address(self, pc: int) -> IrValue:
        """What the guest takes the address `pc` of the region's code to be."""
        return self.builder.constant(pc, 32)

    def code_address(self, guest_address: IrValue) -> IrValue:
        """The reverse."""
        return guest_address

    # Blocks.

    def emit_block(self, block: Block) -> None:
        cpu = self.cpu
        self.block = block
        self.retired = 0
        self.is_stored = False
        self.builder.block(_label(block.start))
        cpu.start_block()
        for pc, instruction in block.body:
            self.emit_instruction(pc, instruction)
        if block.branch is None:
            cpu.settle_floats()
            if block.falls_through:
                self.count(len(block))
                self.go(block.end)
        else:
            self.emit_branch(block)
        self.paths[block.start].append(self.path())

    def emit_instruction(self, pc: int, instruction: Any) -> None:
        self.cpu.instruction_address = pc
        if self.source_lines:
            self.builder.suffix = self.source_lines.suffix(pc)
        instruction.encoding.semantics(self.cpu, RegionOperands(self.builder, instruction))
        if instruction.flow is Flow.EXCEPTION:
            self.builder.emit("unreachable")
        self.retired += 1

    def emit_branch(self, block: Block) -> None:
        assert block.branch is not None and block.slot is not None
        self.emit_instruction(*block.branch)
        flow = block.branch[1].flow
        if flow is Flow.BRANCH_LIKELY:
            self.cpu.settle_floats()
            self.emit_likely(block)
            return
        self.in_slot = True
        self.emit_instruction(*block.slot)
        self.in_slot = False
        self.cpu.settle_floats()
        self.count(len(block))
        if flow is Flow.BRANCH:
            self.emit_two_ways(block)
        elif flow is Flow.JUMP:
            assert block.branch_target is not None
            self.go(block.branch_target)
        else:
            self.emit_register_jump(block)

    def emit_two_ways(self, block: Block) -> None:
        condition, target = self.cpu.condition, block.branch_target
        assert condition is not None and target is not None
        if condition.number is not None:
            self.go(target if condition.number else block.end)
            return
        taken, not_taken = self.edge_label(target), self.edge_label(block.end)
        self.builder.branch_if(condition, taken, not_taken)
        self.finish_edge(taken, target)
        self.finish_edge(not_taken, block.end)

    def emit_likely(self, block: Block) -> None:
        condition, target = self.cpu.condition, block.branch_target
        assert condition is not None and target is not None and block.slot is not None
        taken, nullified = self.builder.label("taken"), self.builder.label("nullified")
        self.builder.branch_if(condition, taken, nullified)
        self.builder.block(nullified)
        self.paths[block.start].append(self.path())
        self.count(len(block) - 1)
        self.go(block.end)
        self.builder.block(taken)
        self.cpu.known = dict(self.cpu.known)
        self.cpu.condition = self.cpu.constant(1, 1)
        self.in_slot = True
        self.emit_instruction(*block.slot)
        self.in_slot = False
        self.cpu.settle_floats()
        self.count(len(block))
        self.go(target)

    def emit_register_jump(self, block: Block) -> None:
        target = self.cpu.target
        assert target is not None
        known = self.region.returns.get(block.start) or self.region.predicted.get(block.start) or []
        elsewhere = self.builder.label("elsewhere")
        labels = {pc: self.edge_label(pc) for pc in known if pc in self.region.blocks}
        cases = " ".join(f"i32 {pc}, label %{label}" for pc, label in labels.items())
        address = self.code_address(target)
        self.builder.emit(f"switch i32 {address.name}, label %{elsewhere} [ {cases} ]")
        for pc, label in labels.items():
            self.finish_edge(label, pc)
        self.builder.block(elsewhere)
        self.leave_by_register(target)

    def leave_by_register(self, target: IrValue) -> None:
        """Leave for an address that only the guest knows."""
        clock = self.clock()
        self.exits.leave("leave_region_to_address", target, clock, (self.block.start, self.path()))

    def go(self, target: int) -> None:
        """End the IR block by going to the guest address `target`."""
        label = self.edge_label(target)
        self.builder.emit(f"br label %{label}")
        self.finish_edge(label, target)

    def edge_label(self, target: int) -> str:
        """Where an edge from the current block to `target` leads: the block itself, or code of the edge."""
        if target in self.region.blocks and (self.block.start, target) not in self.retreating:
            return _label(target)
        return self.builder.label(f"to_{target:08x}")

    def finish_edge(self, label: str, target: int) -> None:
        """Emit the code of an edge, if it has any: leaving the region, or looking for a stop request."""
        if label == _label(target):
            return
        self.builder.block(label)
        if target not in self.region.blocks:
            self.leave_to(target, "leave_region")
            return
        at = self.builder.assign("limit.at", f"getelementptr i8, ptr %state, i64 {_offset('limit')}")
        limit = IrValue(self.builder, self.builder.assign("limit", f"load volatile i64, ptr {at}"), 64)
        stop = self.builder.label("stop")
        counts = self.mode.count_instructions
        due = limit.le_unsigned(self.clock() + self.reserve()) if counts else limit.eq(0)
        self.builder.branch_if(due, stop, _label(target), unlikely=True)
        self.builder.block(stop)
        self.leave_to(target, "leave_at_entry_limit")

    # Leaving.

    def clock(self) -> IrValue:
        return IrValue(self.builder, self.builder.assign("clock", "load i64, ptr %clock"), 64)

    def counted_clock(self) -> IrValue | None:
        return self.clock() + ENTRY_SIZE * self.retired if self.mode.count_instructions else None

    def count(self, instructions: int) -> None:
        """Advance the clock by what the block has retired."""
        if self.mode.count_instructions:
            advanced = self.clock() + ENTRY_SIZE * instructions
            self.builder.emit(f"store {advanced.typed()}, ptr %clock")

    def count_stay(self, clock: IrValue, operation: str) -> None:
        """Let `translated_clock` grow by what is retired between entering ("sub") and leaving ("add")."""
        if self.mode.count_instructions:
            before = IrValue(self.builder, load_field(self.builder, "translated_clock", "i64"), 64)
            store_field(self.builder, "translated_clock", before.binary(operation, clock).typed())

    def leave_to(self, target: int, routine: str) -> None:
        """Go on at the entry of `target` in tier 0, or another region."""
        self.exits.leave(routine, target, self.clock(), (self.block.start, self.path()))

    def finish_exit(
        self, routine: str, address: IrValue, clock: IrValue, paths: list[tuple[int, Path]]
    ) -> None:
        """Store what is dirty on any of the `paths` and go to `routine`."""
        self.defer_stores(paths)
        if routine == "leave_region_to_address":
            self.leave_by_address(routine, address, clock)
        else:
            self.leave_by(routine, address, (address + 4).trunc(32), clock)

    def leave_by_address(self, routine: str, address: IrValue, clock: IrValue) -> None:
        """Tail-call one of the routines that take an address in %entry and the clock in %bias."""
        self.count_stay(clock, "add")
        pointer = self.builder.assign("address_pointer", f"inttoptr {address.typed()} to ptr")
        self.tail_call(routine, pointer, "%next", clock.name)

    def leave_by(self, routine: str, pc: IrValue, following: IrValue, clock_before: IrValue) -> None:
        """Tail-call `routine` with the entries of `pc` and `following`; `clock_before` the one at pc."""
        builder = self.builder
        self.count_stay(clock_before, "add")
        base = load_field(builder, "entries_base", "ptr")
        entry = builder.assign("exit", f"getelementptr i32, ptr {base}, i64 {pc.name}")
        distance = following.zext(64) << 2
        after = builder.assign("after", f"getelementptr i8, ptr {base}, i64 {distance.name}")
        position = IrValue(builder, builder.assign("position", f"ptrtoint ptr {after} to i64"), 64)
        bias = clock_before + ENTRY_SIZE - position
        self.tail_call(routine, entry, after, bias.name)

    def tail_call(self, routine: str, entry: str, following: str, bias: str) -> None:
        handlers = load_field(self.builder, "handlers_base", "ptr")
        self.builder.emit(
            f"musttail call {CONVENTION} void @{routine}"
            f"(ptr %state, ptr %memory, ptr {handlers}, ptr {entry}, ptr {following}, i64 {bias})"
        )
        self.builder.emit("ret void")

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int) -> None:
        store_field(self.builder, "exception_code", f"i32 {int(code)}")
        store_field(self.builder, "coprocessor", f"i32 {coprocessor}")
        self.leave_here(Stop.EXCEPTION)

    def leave_with_stop(self, stop: Stop) -> None:
        self.leave_here(stop)

    def leave_here(self, stop: Stop) -> None:
        """Leave before the instruction being emitted, with its delay-slot state."""
        clock = self.clock()
        if self.mode.count_instructions:
            clock = clock + ENTRY_SIZE * self.retired
        pc = self.cpu.instruction_address
        following = self.slot_target() if self.in_slot else self.builder.constant(pc + 4, 32)
        last_branch = pc - 4 if self.in_slot else 0
        base = load_field(self.builder, "entries_base", "i64")
        branch = IrValue(self.builder, base, 64) + 4 * last_branch
        store_field(self.builder, "last_branch", branch.typed())
        self.defer_stores([(self.block.start, self.path())])
        self.leave_by(f"leave_at_entry_{stop.name.lower()}", self.builder.constant(pc, 64), following, clock)

    def slot_target(self) -> IrValue:
        """Where control goes after the delay slot being emitted."""
        if self.cpu.target is not None:
            return self.cpu.target
        target = self.guest_address(self.block.branch_target or 0)
        if self.cpu.condition is None:
            return target
        return self.cpu.condition.select(target, self.guest_address(self.block.end))

    def defer(self, produce: Callable[[], list[str]]) -> None:
        self.deferred.append((len(self.builder.lines), self.builder.suffix, produce))
        self.builder.lines.append("")

    def defer_stores(self, paths: list[tuple[int, Path]], *, volatile: bool = False) -> None:
        """Here the variables are stored to the CPU state that are dirty on any of `paths`: (block, path in it)."""

        def stores() -> list[str]:
            dirty = {v for start, path in paths for v in path.dirty(self.dirty_at[start])}
            return [
                line
                for v in self.ordered(dirty)
                for line in store_to_state(self.builder, v, volatile=volatile)
            ]

        self.defer(stores)

    def path(self) -> Path:
        """The way through the block up to here."""
        return Path(self.is_stored, frozenset(self.cpu.written))

    def note_access(self) -> None:
        if not self.mode.precise:
            return
        self.cpu.settle_floats()
        point = AccessPoint(self.cpu.instruction_address, self.retired, self.in_slot)
        self.store_volatile("access_point", f"i32 {len(self.access_points)}")
        self.access_points.append(point)
        if self.mode.count_instructions:
            self.store_volatile("clock", self.clock().typed())
        if self.in_slot:
            self.store_volatile("branch_target", self.slot_target().typed())
        self.defer_stores([(self.block.start, self.path())], volatile=True)
        if not self.cpu.is_conditional:
            self.cpu.written = {}
            self.is_stored = True

    def store_volatile(self, field: str, typed: str) -> None:
        """Store to the CPU state, where the fault handler must find it."""
        self.builder.emit(f"store volatile {typed}, ptr {field_pointer(self.builder, field)}")

    def float_variables(self) -> list[Variable]:
        return [variable for variable in self.cpu.used if is_float_control(variable)]

    # The whole region.

    def ordered(self, variables: Iterable[Variable]) -> list[Variable]:
        return sorted(variables, key=lambda variable: variable.offset)

    def find_dirty(self) -> None:
        """Forward data flow: which variables may differ from the CPU state at the start of each block."""
        self.dirty_at = {start: set() for start in self.region.blocks}
        work = list(self.region.blocks)
        while work:
            start = work.pop()
            block = self.region.blocks[start]
            dirty = self.dirty_at[start]
            leaving = {variable for path in self.paths[start] for variable in path.dirty(dirty)}
            for target in self.region.successors(block):
                if not leaving <= self.dirty_at[target]:
                    self.dirty_at[target] |= leaving
                    work.append(target)

    def resolve(self) -> list[str]:
        """The body's lines with what was deferred put in."""
        lines: list[str] = []
        position = 0
        for at, suffix, produce in self.deferred:
            lines += self.builder.lines[position:at]
            lines += [line + suffix for line in produce()]
            position = at + 1
        return lines + self.builder.lines[position:]

    def prologue(self) -> list[str]:
        """Stack slots, loaded from the CPU state; then to the block of the entry, whose number is in %next."""
        lines = ["enter:"]
        lines += [f"  %{variable.name} = alloca {variable.kind}" for variable in self.cpu.used]
        lines += [f"  {slot} = alloca i64" for slot in ("%clock", *EXIT_SLOTS)]
        for variable in self.cpu.used:
            lines += load_from_state(self.builder, variable)
        lines += [*self.arguments(), "  store i64 %entry.clock, ptr %clock"]
        if self.mode.precise:
            lines.append(f"  %clock.at = getelementptr i8, ptr %state, i64 {_offset('clock')}")
            lines.append("  store volatile i64 %entry.clock, ptr %clock.at")
        at = len(self.builder.lines)
        self.enter()
        lines += self.builder.lines[at:]
        del self.builder.lines[at:]
        first, *others = self.region.entries
        lines.append("  %entry.number = ptrtoint ptr %next to i64")
        cases = " ".join(f"i64 {n}, label %{_label(pc)}" for n, pc in enumerate(others, 1))
        lines.append(f"  switch i64 %entry.number, label %{_label(first)} [ {cases} ]")
        return lines

    def arguments(self) -> list[str]:
        """Lines that take from the arguments what an entry hands over; %entry.clock, first of all."""
        return [
            "  %entry.position = ptrtoint ptr %entry to i64",
            "  %entry.clock = add i64 %entry.position, %bias",
        ]

    def enter(self) -> None:
        """What is to be done when the variables have been loaded."""
        self.count_stay(IrValue(self.builder, "%entry.clock", 64), "sub")


_ATTRIBUTES = "nounwind noimplicitfloat"
"""noimplicitfloat: stores of adjacent FPU registers must not be merged into 256-bit vectors, since those ask for
a realigned stack."""


def enter_region(region: str, index: int, seed: int | str, entry: str = "%entry", bias: str = "%bias") -> str:
    """Lines that enter a region at entry number `index`; it gets the arguments `entry` and `bias`.

    Its seed is noted, as what it is left for may have to become part of it.
    """
    arguments = f"ptr %state, ptr %memory, ptr %handlers, ptr {entry}, ptr %number, i64 {bias}"
    return f"""\
  %seed.at = getelementptr i8, ptr %state, i64 {_offset("region_seed")}
  store i32 {seed}, ptr %seed.at
  %number = inttoptr i64 {index} to ptr
  musttail call {CONVENTION} void @{region}({arguments})
  ret void"""


def _label(pc: int) -> str:
    return f"block_{pc:08x}"


def _offset(field_name: str) -> int:
    from translator.state import OFFSET

    return OFFSET[field_name]
