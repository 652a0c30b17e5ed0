"""Tier 1's `Cpu` in system mode: memory through the tables, coprocessors that may be unusable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from translator.algebra import SystemCpu
from translator.decode import Instruction
from translator.float_ir import FloatChecking
from translator.float_layout import FloatLayout
from translator.ir import FunctionBuilder, IrValue
from translator.isa.coprocessor0 import read_register, write_register
from translator.region_cpu import RegionCpu
from translator.state import Access, ExceptionCode
from translator.system.access_groups import AccessGroup
from translator.system.register_page import constant_register
from translator.system.table_access import TableAccess
from translator.system.windowed_access import WindowedAccess

if TYPE_CHECKING:
    from translator.system.region_ir import SystemRegionEmitter


class GroupedAccess(TableAccess):
    """Table accesses of which some share one check."""

    def __init__(self, builder: FunctionBuilder, big_endian: bool, emitter: SystemRegionEmitter) -> None:
        super().__init__(builder, "%memory", big_endian, emitter.leave_for_access)
        self._pages = emitter.pages
        self._frame = emitter.frame
        self.base: int | None = None
        """The register that the instruction being emitted adds its offset to."""
        self.current: tuple[AccessGroup, int] | None = None
        """Group and offset of the instruction being emitted."""

    def begin(self, instruction: Instruction, current: tuple[AccessGroup, int] | None) -> None:
        """An instruction is emitted next."""
        self.reported = None
        self.current = current
        self.base = instruction.base if "base" in instruction.encoding.fields else None

    def pointer(self, address: IrValue) -> str:
        if self.reported is not None or self.base is None:
            return super().pointer(address)
        if self.current is None or not self._is_shared(self.current[0]):
            slot = self._remembered(address, address, self._kind, self._width // 8)
            host = slot + address.zext(64)
            return self._builder.assign("host", f"inttoptr i64 {host.name} to ptr")
        group, offset = self.current
        builder = self._builder
        if group.host is None:
            group.host = self._host_of(group, address - (offset - group.low), address)
        return builder.assign("host", f"getelementptr i8, ptr {group.host}, i64 {offset - group.low}")

    def _is_shared(self, group: AccessGroup) -> bool:
        """Whether an access need not be checked for itself."""
        return group.count > 1 or self._frame.holds(group)

    def _host_of(self, group: AccessGroup, lowest: IrValue, address: IrValue) -> str:
        """The host address of a group's lowest byte, if everything about the group is in order."""
        if self._frame.holds(group):
            return self._frame.access(group, lambda: self._checked(group, lowest, address))
        host = self._checked(group, lowest, address)
        return self._builder.assign("group", f"inttoptr i64 {host.name} to ptr")

    def _remembered(self, address: IrValue, reported: IrValue, kind: Access, alignment: int) -> IrValue:
        """The slot of an address that is a multiple of `alignment`."""
        assert self.base is not None
        builder = self._builder
        page = self._pages.through(builder, self.base, address, kind)
        if page is None:
            return self._looked_up(address, reported, kind, alignment)
        look, found = builder.label("look"), builder.label("found")
        builder.branch_if(page.differs(address, alignment), look, found, unlikely=True)
        builder.block(look)
        page.remember(address, self._looked_up(address, reported, kind, alignment))
        builder.emit(f"br label %{found}")
        builder.block(found)
        return page.slot

    def _looked_up(self, address: IrValue, reported: IrValue, kind: Access, alignment: int) -> IrValue:
        slot, size = self.slot(address, kind), self._width // 8
        self._leave_if(slot.eq(0), reported, size)
        if alignment > 1:
            self._leave_if((address & alignment - 1).ne(0), reported, size)
        return slot

    def _checked(self, group: AccessGroup, lowest: IrValue, address: IrValue) -> IrValue:
        """The same in 64 bits, looked for by the page of the group."""
        kind = Access.STORE if group.stores else Access.LOAD
        size = self._width // 8
        is_even = (group.anchor - group.low) % group.size == 0
        slot = self._remembered(lowest, address, kind, group.size if is_even else 1)
        span = group.high - group.low
        if span > group.size:
            self._see_to_straddling(slot, lowest, span, kind, address)
        if not is_even:
            anchor = lowest + (group.anchor - group.low)
            self._leave_if((anchor & group.size - 1).ne(0), address, size)
        return slot + lowest.zext(64)

    def _see_to_straddling(
        self, slot: IrValue, lowest: IrValue, span: int, kind: Access, address: IrValue
    ) -> None:
        """Leave if a group lies on two pages, unless they lie side by side in the host, so that their slots are the
        same: the run time puts those side by side for which this happens often.
        """
        builder = self._builder
        straddles = builder.constant(4096 - span, 32).lt_unsigned(lowest & 0xFFF)
        look, adjacent = builder.label("straddles"), builder.label("adjacent")
        builder.branch_if(straddles, look, adjacent, unlikely=True)
        builder.block(look)
        highest = lowest + (span - 1)
        is_elsewhere = self.slot(highest, kind).ne(slot) | highest.lt_unsigned(lowest)
        self._leave_if(is_elsewhere, address, self._width // 8)
        builder.emit(f"br label %{adjacent}")
        builder.block(adjacent)


class SystemRegionCpu(RegionCpu):
    """Accesses leave the region where they find no slot; nothing comes back into its middle."""

    system = True

    def __init__(
        self,
        builder: FunctionBuilder,
        emitter: SystemRegionEmitter,
        layout: FloatLayout,
        *,
        big_endian: bool,
        checking: FloatChecking,
    ) -> None:
        super().__init__(builder, emitter, layout, big_endian=big_endian, checking=checking, precise=False)
        self._emitter = emitter
        self.tables: GroupedAccess | WindowedAccess
        if emitter.is_windowed:
            self.tables = WindowedAccess(builder, big_endian, emitter)
        else:
            self.tables = GroupedAccess(builder, big_endian, emitter)
        self.access = self.tables
        self._usable: set[int] = set()

    def start_block(self) -> None:
        super().start_block()
        self._usable = set()

    def report_faults_at(self, address: IrValue) -> None:
        self.tables.reported = address

    def touch(self, address: IrValue) -> None:
        self.before_access()
        self.tables.touch(address)

    def before_access(self) -> None:
        self.settle_floats()

    def load(self, address: IrValue, width: int) -> IrValue:
        register = constant_register(address, width, "mfc0")
        if register is None:
            return super().load(address, width)
        self._require_privileged_page(address, Access.LOAD)
        value: IrValue = read_register(cast(SystemCpu, self), register)
        return value

    def store(self, address: IrValue, value: IrValue) -> None:
        register = constant_register(address, value.width, "mtc0")
        if register is None:
            super().store(address, value)
            return
        self._require_privileged_page(address, Access.STORE)
        write_register(cast(SystemCpu, self), register, value)

    def _require_privileged_page(self, address: IrValue, kind: Access) -> None:
        """Leave for the slow path where the page cannot be accessed, or accesses are not to be rewritten."""
        self.settle_floats()
        refuse, proceed = self.builder.label("no_register"), self.builder.label("register")
        self.builder.branch_if(self.read("privileged_page_usable").eq(0), refuse, proceed, unlikely=True)
        self.builder.block(refuse)
        self._emitter.leave_for_access(address, kind, 4)
        self.builder.block(proceed)

    def require_coprocessor(self, number: int) -> None:
        """Once in a block: what changes the answer ends regions."""
        if number in self._usable:
            return
        self._usable.add(number)
        self.settle_floats()
        usable = self.read(f"cp{number}_usable")
        refuse, proceed = self.builder.label("unusable"), self.builder.label("usable")
        self.builder.branch_if(usable.eq(0), refuse, proceed, unlikely=True)
        self.builder.block(refuse)
        self.leave_with_exception(ExceptionCode.CPU, number)
        self.builder.block(proceed)

    def forget(self) -> None:
        """Nothing is known about coprocessors where control may have come another way."""
        self._usable = set()

    def read_count(self) -> Any:
        raise AssertionError("left to tier 0: Count is not what user programs have for it")

    def call_monitor(self) -> Any:
        raise AssertionError("left to tier 0")
