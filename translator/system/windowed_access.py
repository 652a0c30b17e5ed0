"""Loads and stores of regions of user code: host address = window + virtual address, and a fixup for the host's fault.

The access is LLVM's `callbr` of inline assembly, in the way of Linux's exception tables: the values that the fixup's
block needs are live across it, wherever LLVM keeps them. Only the alignment is looked at, once for all accesses of a
group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from translator.decode import Instruction
from translator.ir import FunctionBuilder, IrValue
from translator.state import Access
from translator.system.access_groups import AccessGroup
from translator.system.table_access import TableAccess
from translator.translation import FIXUPS_SECTION

if TYPE_CHECKING:
    from translator.system.region_ir import SystemRegionEmitter

_LOAD: Final = {8: "movzbl", 16: "movzwl", 32: "movl", 64: "movq"}
_LOAD_SIGNED: Final = {"lb": "movsbl", "lh": "movswl"}
_STORE: Final = {8: "movb", 16: "movw", 32: "movl", 64: "movq"}
_FLOAT: Final = {32: ("movss", "float"), 64: ("movsd", "double")}
_FLOAT_LOADS: Final = frozenset({"lwc1", "ldc1"})


class WindowedAccess(TableAccess):
    """Only `sc` goes through the tables: its exchange is one instruction with two results."""

    def __init__(self, builder: FunctionBuilder, big_endian: bool, emitter: SystemRegionEmitter) -> None:
        super().__init__(builder, "%memory", big_endian, emitter.leave_for_access)
        self.mnemonic = ""
        """Of the instruction being emitted …"""
        self.current: tuple[AccessGroup, int] | None = None
        """… its group and offset."""

    def begin(self, instruction: Instruction, current: tuple[AccessGroup, int] | None) -> None:
        """An instruction is emitted next."""
        self.reported = None
        self.current = current
        self.mnemonic = instruction.mnemonic

    def touch(self, address: IrValue) -> None:
        self.load(address, 8)

    def load(self, address: IrValue, width: int) -> IrValue:
        self._kind, self._width = Access.LOAD, width
        host = self._window_pointer(address)
        name = self._builder.fresh("load")
        if self.mnemonic in _FLOAT_LOADS and not self._big_endian:
            operation, kind = _FLOAT[width]
            self._access(f"{operation} $1, $0", kind, "=x,*m", address, host, name)
            return IrValue.from_float(self._builder, name, width)
        is_signed = self.mnemonic in _LOAD_SIGNED
        operation = _LOAD_SIGNED[self.mnemonic] if is_signed else _LOAD[width]
        self._access(f"{operation} $1, $0", f"i{max(width, 32)}", "=r,*m", address, host, name)
        loaded = IrValue(self._builder, name, max(width, 32))
        if width >= 32 or (self._big_endian and width == 16):
            return self._in_guest_order(loaded.trunc(width))
        return _Extended(loaded, width, "sext" if is_signed else "zext")

    def store(self, address: IrValue, value: IrValue) -> None:
        self._kind, self._width = Access.STORE, value.width
        value = self._in_guest_order(value)
        if value.is_float:
            operation, constraint = _FLOAT[value.width][0], "x"
            operand = f"{_FLOAT[value.width][1]} {value.as_float()}"
        else:
            operation, constraint, operand = _STORE[value.width], "r", value.typed()
        host = self._window_pointer(address)
        self._access(f"{operation} $1, $0", "void", f"*m,{constraint}", address, host, operand=operand)

    def _window_pointer(self, address: IrValue) -> str:
        """The host address, of an address that is a multiple of the access's size from here on."""
        size = self._width // 8
        if self.reported is None:  # what is accessed is aligned else, whatever it is for
            if self.current is None:
                self._leave_if_unaligned(address, address, size)
            elif not self.current[0].is_aligned:
                group, offset = self.current
                group.is_aligned = True
                self._leave_if_unaligned(address + (group.anchor - offset), address, group.size)
        extended = self._extended(address)
        return self._builder.assign("host", f"getelementptr i8, ptr %window, i64 {extended.name}")

    def _leave_if_unaligned(self, anchor: IrValue, address: IrValue, size: int) -> None:
        if size > 1:
            self._leave_if((anchor & size - 1).ne(0), address, self._width // 8)

    def _access(
        self,
        text: str,
        result: str,
        constraints: str,
        address: IrValue,
        host: str,
        name: str = "",
        operand: str = "",
    ) -> None:
        """Emit it; its fixup leaves for the slow path."""
        builder = self._builder
        fixup, done = builder.label("fixup"), builder.label("accessed")
        label = constraints.count(",") + 1
        noted = (
            rf"1: {text}\0A.pushsection {FIXUPS_SECTION},\22a\22\0A.long 1b-., ${{{label}:l}}-.\0A.popsection"
        )
        element = f"i{self._width}"
        memory = f"ptr elementtype({element}) {host}"
        operands = f"{memory}, {operand}" if operand else memory
        builder.emit(
            (f"{name} = " if name else "")
            + f'callbr {result} asm sideeffect "{noted}", "{constraints},!i,~{{memory}}"({operands}) '
            f"to label %{done} [label %{fixup}]"
        )
        builder.block(fixup)
        reported = address if self.reported is None else self.reported
        self._leave(reported, self._kind, 1 if self.reported is not None else self._width // 8)
        builder.block(done)


class _Extended(IrValue):
    """A byte or halfword that has been loaded into a word, extended."""

    __slots__ = ("_how", "_word")

    def __init__(self, word: IrValue, width: int, how: str) -> None:
        super().__init__(word.builder, None, width)
        self._word = word
        self._how = how

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = self._word.trunc(self.width).name
        return self._name

    @property
    def is_float(self) -> bool:
        return False

    def resize(self, kind: str, width: int) -> Any:
        if kind == self._how and width == self._word.width:
            return self._word
        return super().resize(kind, width)
