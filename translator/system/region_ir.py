"""Regions in system mode: their exits are precise, and lead on by address.

A region stands in the entries of machine pages, which may be mapped anywhere, by several virtual machines. So each
entry compares the page it is entered through, and the region's other pages, with `region_pages`: what the fetch table
has to hold, written by the run time when the region is installed. If they differ, the entry's next region has its turn,
as `region_alternatives` say. Behind the last one is `execute_elsewhere`.

One page of a library is at as many virtual addresses as processes have it mapped. So a region of user code without
jumps to absolute addresses is *movable*: its entry finds out how far the code is from where it was when it was
translated, `%displacement`, and the region adds that to every address of code which the guest gets to see.
"""

from __future__ import annotations

from typing import Any

from translator.encoding import Flow
from translator.float_ir import FloatChecking
from translator.float_layout import float_layout
from translator.ir import IrValue
from translator.native_cpu import CONVENTION, PARAMETERS, store_field
from translator.predecode import ENTRY_SIZE
from translator.region import Block, Region
from translator.region_cpu import RegionCpu
from translator.region_ir import Path, RegionEmitter, RegionIr, enter_region
from translator.state import OFFSET, Access, ExceptionCode, Stop
from translator.system.access_groups import access_groups, written_registers
from translator.system.coprocessor import needs_coprocessor_1
from translator.system.region_cpu import SystemRegionCpu
from translator.system.remembered_pages import RememberedPages
from translator.system.stack_frame import STACK_POINTER, StackFrame
from translator.system.views import KERNEL_ADDRESSES, PAGE_SHIFT, TABLE_SHIFT
from translator.system.windows import window_lines
from translator.translation import ALTERNATIVES_SYMBOL, PAGES_SYMBOL

IN_SLOT = 1
"""Added to the address of an instruction in a delay slot, which the exit routines get."""


def region_pages(region: Region) -> list[int]:
    """Numbers of the virtual pages that a region's code lies in, as `region_pages` has them."""
    return sorted({pc >> PAGE_SHIFT for pc in region.words()})


def is_user_code(region: Region) -> bool:
    """Whether all of a region is in the user half, where windows are."""
    return all(pc < KERNEL_ADDRESSES for pc in region.words())


def is_movable(region: Region) -> bool:
    """Whether a region is user code that does the same at any address.

    What the kernel runs stays where it is.
    """
    instructions = (item for block in region.blocks.values() for item in block.instructions())
    return is_user_code(region) and all(i.flow is not Flow.JUMP for _, i in instructions)


class SystemRegionEmitter(RegionEmitter):
    """Emits regions of virtual machines."""

    routines = (
        "go_to_address",
        "leave_region_access",
        "leave_region_exception",
        "leave_region_limit",
        "leave_region_fpu_mode",
    )
    cpu: SystemRegionCpu

    def make_cpu(self) -> RegionCpu:
        self.is_movable = is_movable(self.region)
        self.is_windowed = is_user_code(self.region)
        self.pages = RememberedPages(self.region)
        self.frame = StackFrame(self.builder, self.region, enabled=not self.is_windowed)
        return SystemRegionCpu(
            self.builder,
            self,
            float_layout(self.region, self.mode.wide_fpu),
            big_endian=self.mode.big_endian,
            checking=FloatChecking.ALWAYS if self.mode.float_checked else FloatChecking.NEVER,
        )

    def emit(self) -> RegionIr:
        ir = super().emit()
        ir.is_movable = self.is_movable
        count = len(region_pages(self.region))
        ir.text += f"\n@{PAGES_SYMBOL} = dso_local global [{count} x i64] zeroinitializer\n"
        alternatives = f"[{len(ir.entries)} x i32] zeroinitializer"
        ir.text += f"@{ALTERNATIVES_SYMBOL} = dso_local global {alternatives}\n"
        return ir

    def entry_thunk(self, pc: int, symbol: str, region: str, index: int) -> str:
        own = pc >> PAGE_SHIFT
        lines = [
            f"  %base.at = getelementptr i8, ptr %state, i64 {OFFSET['entries_base']}",
            "  %base = load i64, ptr %base.at",
            "  %position = ptrtoint ptr %entry to i64",
        ]
        if self.is_movable:
            # The page it is entered through is where it is by definition.
            lines += _lines_of_displacement(pc)
            checks = {page: _lines_of_moved_slot(page) for page in region_pages(self.region) if page != own}
        else:
            checks = {page: _lines_of_slot(page) for page in region_pages(self.region) if page != own}
            checks[own] = [f"  %slot.{own} = add i64 %base, 0"]
        condition = "true"
        for page, lines_of_slot in checks.items():
            lines += [*lines_of_slot, *self._lines_of_check(page, condition)]
            condition = f"%all.{page}"
        if self.mode.count_instructions:
            lines += self._lines_of_limit()
            lines.append(f"  %all = and i1 {condition}, %is.far")
            condition = "%all"
        lines += [f"  br i1 {condition}, label %enter, label %elsewhere", "enter:"]
        if self.is_movable:
            lines += [
                "  %clock.here = add i64 %position, %bias",
                "  %moved = inttoptr i64 %displacement to ptr",
                "  %moved.by = trunc i64 %displacement to i32",
                f"  %seed = add i32 %moved.by, {self.region.seed}",
            ]
            lines.append(enter_region(region, index, "%seed", "%moved", "%clock.here"))
        else:
            lines.append(enter_region(region, index, self.region.seed))
        body = "\n".join(lines)
        arguments = "ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias"
        return f"""\
define {CONVENTION} void @{symbol}({PARAMETERS}) nounwind {{
{body}
elsewhere:
  %alternative.at = getelementptr i32, ptr @{ALTERNATIVES_SYMBOL}, i64 {index}
  %alternative = load atomic i32, ptr %alternative.at monotonic, align 4
  %alternative.distance = zext i32 %alternative to i64
  %alternative.handler = getelementptr i8, ptr %handlers, i64 %alternative.distance
  musttail call {CONVENTION} void %alternative.handler({arguments})
  ret void
}}"""

    def _lines_of_check(self, page: int, condition: str) -> list[str]:
        """%all.PAGE: whether `condition` holds, and the slot of a page is what is expected."""
        index = region_pages(self.region).index(page)
        at = f"getelementptr (i64, ptr @{PAGES_SYMBOL}, i64 {index})"
        return [
            f"  %expected.{page} = load i64, ptr {at}",
            f"  %same.{page} = icmp eq i64 %slot.{page}, %expected.{page}",
            f"  %all.{page} = and i1 {condition}, %same.{page}",
        ]

    def reserve(self) -> int:
        """Nobody looks at the limit but at entries and in cycles: each block is executed once at most in between."""
        return ENTRY_SIZE * sum(len(block) for block in self.region.blocks.values())

    def _lines_of_limit(self) -> list[str]:
        """Whether the limit is out of the region's reach: near it, tier 0 executes, which stops exactly there."""
        return [
            f"  %limit.at = getelementptr i8, ptr %state, i64 {OFFSET['limit']}",
            "  %limit = load volatile i64, ptr %limit.at",
            "  %clock = add i64 %position, %bias",
            f"  %reached = add i64 %clock, {self.reserve()}",
            "  %is.far = icmp ult i64 %reached, %limit",
        ]

    def prologue(self) -> list[str]:
        first, *rest = super().prologue()
        window = window_lines() if self.is_windowed else []
        return [first, *window, *self.pages.prologue(), *self.frame.slots(), *rest]

    def arguments(self) -> list[str]:
        if not self.is_movable:
            return super().arguments()
        return ["  %entry.clock = add i64 %bias, 0", "  %displacement = ptrtoint ptr %entry to i32"]

    def enter(self) -> None:
        super().enter()
        if self.frame.is_used:
            self.cpu.start_block()
            self.frame.find(self.cpu.gpr[STACK_POINTER], self.cpu.tables.slot)

    # Addresses of code.

    def guest_address(self, pc: int) -> IrValue:
        return self._moved(super().guest_address(pc))

    def code_address(self, guest_address: IrValue) -> IrValue:
        return guest_address - self._displacement if self.is_movable else guest_address

    def _moved(self, address: IrValue) -> IrValue:
        return self._displacement + address if self.is_movable else address

    @property
    def _displacement(self) -> IrValue:
        return IrValue(self.builder, "%displacement", 32)

    # Blocks.

    def emit_block(self, block: Block) -> None:
        self.groups = access_groups(block)
        super().emit_block(block)

    def emit_instruction(self, pc: int, instruction: Any) -> None:
        self.cpu.tables.begin(instruction, self.groups.get(pc))
        self.cpu.instruction_address = pc
        if needs_coprocessor_1(instruction.encoding):
            self.cpu.require_coprocessor(1)
        super().emit_instruction(pc, instruction)
        if self.frame.is_used and STACK_POINTER in written_registers(instruction):
            self.cpu.settle_floats()
            self.frame.follow(instruction, self.cpu.gpr[STACK_POINTER], self.cpu.tables.slot)

    # Leaving.

    def leave_for_access(self, address: IrValue, kind: Access, size: int) -> None:
        """In front of the access being emitted: it has no slot, is not aligned, or its group is on two pages."""
        store_field(self.builder, "access_address", address.typed())
        store_field(self.builder, "access_kind", f"i32 {int(kind) | (size - 1) << 8}")
        self.leave_in_front("leave_region_access")

    def leave_with_exception(self, code: ExceptionCode, coprocessor: int) -> None:
        store_field(self.builder, "exception_code", f"i32 {int(code)}")
        store_field(self.builder, "coprocessor", f"i32 {coprocessor}")
        self.leave_in_front("leave_region_exception")

    def leave_with_stop(self, stop: Stop) -> None:
        assert stop is Stop.FPU_MODE, stop
        self.leave_in_front("leave_region_fpu_mode")

    def leave_in_front(self, routine: str) -> None:
        """Leave before the instruction being emitted, with its delay-slot state."""
        clock = self.clock()
        if self.mode.count_instructions:
            clock = clock + ENTRY_SIZE * self.retired
        if self.in_slot:
            store_field(self.builder, "branch_target", self.slot_target().typed())
        address = self.cpu.instruction_address | (IN_SLOT if self.in_slot else 0)
        self.exits.leave(routine, address, clock, (self.block.start, self.path()))

    def leave_to(self, target: int, routine: str) -> None:
        by_address = {"leave_region": "go_to_address", "leave_at_entry_limit": "leave_region_limit"}
        super().leave_to(target, by_address[routine])

    def leave_by_register(self, target: IrValue) -> None:
        address = self.code_address(target)
        self.exits.leave("go_to_address", address, self.clock(), (self.block.start, self.path()))

    def finish_exit(
        self, routine: str, address: IrValue, clock: IrValue, paths: list[tuple[int, Path]]
    ) -> None:
        """Exits hand over an address of the region's code, so that those to constant ones need not add anything."""
        self.defer_stores(paths)
        self.leave_by_address(routine, self._moved(address.trunc(32)).zext(64), clock)


def _lines_of_displacement(pc: int) -> list[str]:
    """%displacement: how far the entry that was translated at `pc` is from there now; a multiple of the page size."""
    return [
        "  %distance = sub i64 %position, %base",
        "  %here = lshr i64 %distance, 2",
        f"  %displacement = sub i64 %here, {pc}",
        "  %moved.slots = ashr exact i64 %displacement, 9",
        "  %moved.entries = shl i64 %displacement, 2",
    ]


def _lines_of_slot(page: int) -> list[str]:
    """%slot.PAGE: what the fetch table has for a page."""
    offset = (int(Access.FETCH) << TABLE_SHIFT) + (page << 3)
    return [
        f"  %slot.at.{page} = getelementptr i8, ptr %memory, i64 {offset}",
        f"  %slot.{page} = load i64, ptr %slot.at.{page}",
    ]


def _lines_of_moved_slot(page: int) -> list[str]:
    """The same for the page that is where this one was, as the slot would be if it had not moved."""
    return [
        f"  %moved.{page} = add i64 %moved.slots, {page << 3}",
        f"  %index.{page} = and i64 %moved.{page}, {(1 << 32 - PAGE_SHIFT) - 1 << 3}",
        f"  %table.at.{page} = getelementptr i8, ptr %memory, i64 {int(Access.FETCH) << TABLE_SHIFT}",
        f"  %slot.at.{page} = getelementptr i8, ptr %table.at.{page}, i64 %index.{page}",
        f"  %moved.slot.{page} = load i64, ptr %slot.at.{page}",
        f"  %slot.{page} = add i64 %moved.slot.{page}, %moved.entries",
    ]
