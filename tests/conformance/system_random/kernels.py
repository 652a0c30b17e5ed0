"""Random bare-metal kernels: code that does anything, in every mode and through every segment.

Nothing in it makes sense, and nobody knows what it should do but the reference engine. Exceptions keep it going
(`handlers`), and so do the timer and hardware interrupts that come when they come.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.system.reference.vcpu import ReferenceVcpu
from tests.conformance.assembler import encode
from tests.conformance.random import values
from tests.conformance.random.instructions import (
    ACCESS_SIZE,
    ACCESSING,
    BRANCHING,
    COMPUTING,
    MAKING_FLOATS,
    harmless_word,
    is_unpredictable,
    random_fields,
)
from tests.conformance.system_random import handlers
from tests.runtime.system.bare_machine import BareMachine, Engine
from translator.cp0_registers import CP0_REGISTERS
from translator.decode import lookup_privileged
from translator.integers import signed
from translator.state import Stop
from translator.system.heat import RUN_HEAT

CODE = 0x1_0000
"""Physical address of the code; mapped at the same low bits in every segment."""
CODE_PAGES = 6
DATA_PAGES = 6
_DATA = CODE + 0x1000 * CODE_PAGES
_COPY_DISTANCE = 0x1_0000
_COPIES = 100
_CODE_WORDS = 1024 * CODE_PAGES
_CLOCK_PER_INSTRUCTION = 16
_MOST_EXCEPTIONS = 1000
"""One after the other, without an instruction between them that completes."""
_SEGMENTS = (0x0000_0000, 0x8000_0000, 0xA000_0000, 0xC000_0000, 0xE000_0000)
_FORWARD = (1, 2, 3, 7, 20, 60, 400, 1100)
_BACKWARD = (-1500, -40, -12, -5)
"""Branch distances. Most loops would never end."""
_ADDRESS, _VALUE, _STACK = 25, 24, 29
"""Registers that idioms use; others may write them, too."""
_DISPLACED = [encoding for encoding in ACCESSING if "offset" in encoding.fields]
_KERNEL, _SUPERVISOR, _USER = 0x00, 0x08, 0x10
_REGISTER_NAMES = tuple(register.name for register in CP0_REGISTERS)
_PRIVILEGED_PAGE = 0xFFFF_E000
_UART = 0xBF00_0900


@dataclass
class Kernel:
    """What a machine is to be loaded with, and which interrupts it will get."""

    entry: int
    gpr: list[int]
    words: dict[int, list[int]] = field(default_factory=dict)
    """Physical address → words."""
    interrupts: list[tuple[int, int]] = field(default_factory=list)
    """Clock, and from then on levels of the hardware interrupts."""


class KernelLost(Exception):
    """A kernel has broken its exception handlers: it only raises, and time, which is instructions, stands still."""


class GuardedReferenceVcpu(ReferenceVcpu):
    """Raises KernelLost rather than go on for ever."""

    _clock = 0
    _steps = 0
    """Since the clock was that."""

    def step(self) -> Stop:
        if self.state.clock != self._clock:
            self._clock, self._steps = self.state.clock, 0
        self._steps += 1
        if self._steps > _MOST_EXCEPTIONS:
            raise KernelLost(f"at {self.state.pc:#x}")
        return super().step()


class KernelMachine(BareMachine):
    """A machine with a random kernel, which it sets right when it has lost its way."""

    reference_vcpu = GuardedReferenceVcpu

    def __init__(self, kernel: Kernel, engine: Engine, **options: Any) -> None:
        super().__init__(engine, **options)
        self._entry = kernel.entry
        if engine == "auto":
            self.vcpu.state.heat = RUN_HEAT
        big_endian = bool(options.get("big_endian"))
        for address, words in kernel.words.items():
            self.memory.write(address, handlers.to_bytes(words, big_endian))
        self.vcpu.state.gpr[:32] = kernel.gpr
        self.planned = list(kernel.interrupts)
        self._restart()

    def _restart(self) -> None:
        state = self.vcpu.state
        state.pc, state.in_delay_slot = self._entry, 0
        state.status = 0x3000_FF01
        state.clock += _CLOCK_PER_INSTRUCTION

    def end_for(self, stop: Stop) -> str | None:
        if stop is Stop.FETCH_ELSEWHERE:
            self._restart()
        elif stop in (Stop.MONITOR_CALL, Stop.WAIT):  # a `wait` for ever
            self.vcpu.advance()
        else:
            return super().end_for(stop)
        return None


class KernelGenerator:
    """Makes one kernel from one source of randomness."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._words: list[int] = []
        self._weights: dict[Callable[[], None], float] = {
            self._add_compute: 10,
            self._add_access: 6,
            self._add_frame: 2,
            self._add_branch: 4,
            self._add_jump: 0.7,
            self._add_register_jump: 0.7,
            self._add_read: 1,
            self._add_write: 2,
            self._add_tlb: 1,
            self._add_interrupt_enable: 0.6,
            self._add_timer: 0.3,
            self._add_atomic: 0.5,
            self._add_raising: 0.4,
            self._add_code_store: 0.3,
            self._add_cache: 0.3,
            self._add_hardware_register: 0.3,
            self._add_return: 0.15,
            self._add_wait: 0.04,
            self._add_random_word: 0.2,
            self._add_monitor_call: 0.1,
        }

    def kernel(self, instructions: int) -> Kernel:
        """One whose interrupts come during its first `instructions`."""
        source = self._source
        while len(self._words) < _CODE_WORDS:
            source.choices(list(self._weights), list(self._weights.values()))[0]()
        words = handlers.memory_image()
        words[CODE] = self._words[:_CODE_WORDS]
        words[_DATA] = [values.integer(source) for _ in range(1024 * DATA_PAGES)]
        words[handlers.DATA] = [source.getrandbits(32)]
        words[handlers.CONTEXTS] = [word for _ in range(handlers.CONTEXT_COUNT) for word in self._context()]
        words[handlers.PAGE_TABLE] = self._page_table()
        gpr = [0, *(values.integer(source) for _ in range(31))]
        return Kernel(0x8000_0000 | self._code_address(), gpr, words, self._interrupts(instructions))

    # What is not code.

    def _code_address(self) -> int:
        return CODE + 4 * self._source.randrange(_CODE_WORDS)

    def _context(self) -> tuple[int, int, int, int]:
        """EPC, Status, EntryHi, EBase."""
        source = self._source
        mode = source.choice((_KERNEL, _KERNEL, _SUPERVISOR, _USER, _USER))
        segments = {_KERNEL: _SEGMENTS, _SUPERVISOR: (0, 0xC000_0000), _USER: (0,)}[mode]
        status = mode | 0x3000_0000 * (source.random() < 0.7) | 1 << 26 & source.getrandbits(32)
        status |= (source.random() < 0.9) | source.choice((0x8000, 0xFF00, 0x8300, 0xFC00, 0x1C00))
        ebase = source.choice((0x8000_0000, 0x8000_1000, 0xA000_0000))
        return self._somewhere_in(segments), status, source.randrange(4), ebase

    def _somewhere_in(self, segments: tuple[int, ...]) -> int:
        """A virtual address of code."""
        return self._source.choice(segments) | self._code_address()

    def _page_table(self) -> list[int]:
        """The code where it stands, data elsewhere; some pages are missing, read-only, global or other code."""
        table = []
        for number in range(2 * handlers.PAGE_TABLE_PAIRS):
            frame = self._frame_of_code(number)
            if frame is None:
                data = range(_DATA >> 12, (_DATA >> 12) + DATA_PAGES)
                code = range(CODE >> 12, _DATA >> 12)
                frame = self._source.choice(data if self._source.random() < 0.7 else code)
            flags = self._source.choices((0, 1, 2, 3, 6, 7), (1, 1, 2, 2, 8, 6))[0]
            table.append(frame << 6 | 0x18 | flags)
        for even in range(0, len(table), 2):
            if self._source.random() < 0.8:  # mostly G is the same in both
                table[even + 1] = table[even + 1] & ~1 | table[even] & 1
        return table

    def _frame_of_code(self, number: int) -> int | None:
        """The code that a virtual page of KUSEG certainly has."""
        return number if CODE >> 12 <= number < _DATA >> 12 else None

    def _interrupts(self, instructions: int) -> list[tuple[int, int]]:
        plan, at = [], 0
        while at < instructions:
            at += self._source.randrange(1, 2500)
            levels = 1 << self._source.randrange(2, 7)
            plan.append((at * _CLOCK_PER_INSTRUCTION, levels))
            at += self._source.choice((1, 2, 3, 30, 100))
            plan.append((at * _CLOCK_PER_INSTRUCTION, 0))
        return plan

    # Code.

    def _emit(self, mnemonic: str, /, **fields: int) -> None:
        self._words.append(encode(mnemonic, **fields))

    def _load_constant(self, register: int, number: int) -> None:
        self._emit("lui", rt=register, imm=signed(number >> 16, 16))
        self._emit("ori", rt=register, rs=register, uimm=number & 0xFFFF)

    def _slot_word(self) -> int:
        """Mostly harmless; sometimes an access, a move to coprocessor 0, or anything."""
        kind = self._source.random()
        if kind < 0.75:
            return harmless_word(self._source)
        at = len(self._words)
        if kind < 0.85:
            self._add_plain_access()
        elif kind < 0.92:
            self._add_register_move()
        else:
            self._add_random_word()
        return self._words.pop(at)

    def _add_compute(self) -> None:
        encoding = self._source.choice(COMPUTING + MAKING_FLOATS)
        self._emit(encoding.mnemonic, **random_fields(self._source, encoding))

    def _address(self) -> int:
        """Of data, mostly."""
        source = self._source
        kind = source.random()
        if kind < 0.04:
            offset = source.randrange(0, 0x420, 4)
            return _PRIVILEGED_PAGE + (0 if 0x1C0 <= offset < 0x1E8 else offset)  # EBase is not for everybody
        if kind < 0.06:
            return _UART + 8 * 7 + source.randrange(8)  # the scratch register
        if kind < 0.1:
            return source.getrandbits(32)
        segment = source.choice(_SEGMENTS)
        if kind < 0.6 or segment in (0x8000_0000, 0xA000_0000):
            return segment | _DATA + source.randrange(0x1000 * DATA_PAGES)
        return segment | source.randrange(0x10_0000, 0x2000_0000)

    def _add_access(self) -> None:
        """Through an address that is made for it."""
        encoding = self._source.choice(ACCESSING)
        size = ACCESS_SIZE.get(encoding.mnemonic, 1)
        address = self._address()
        if self._source.random() < 0.97:
            address &= -size
        fields = random_fields(self._source, encoding)
        fields["base"] = _ADDRESS
        if "offset" in fields:
            fields["offset"] = self._source.randrange(-0x8000, 0x8000)
            address -= fields["offset"]
        else:
            fields["rt"] = 0
        self._load_constant(_ADDRESS, address)
        for _ in range(self._source.choice((1, 1, 2, 4))):
            self._emit(encoding.mnemonic, **fields)
            if "offset" in fields:
                fields["offset"] = min(fields["offset"] + size, 0x7FFF)

    def _add_frame(self) -> None:
        """Accesses close above a stack pointer that moves, now and then over the end of a page."""
        source = self._source
        self._load_constant(_STACK, self._address() & -4)
        for _ in range(source.randrange(1, 5)):
            self._emit("addiu", rt=_STACK, rs=_STACK, imm=8 * source.choice((-64, -5, -1, 0, 1, 4, 60)))
            for _ in range(source.randrange(3)):
                encoding = source.choice(_DISPLACED)
                fields = random_fields(source, encoding)
                fields["base"], fields["offset"] = _STACK, 4 * source.randrange(40)
                self._emit(encoding.mnemonic, **fields)

    def _add_plain_access(self) -> None:
        encoding = self._source.choice(ACCESSING)
        fields = random_fields(self._source, encoding)
        fields["base"] = _ADDRESS
        if "offset" in fields:
            fields["offset"] = 8 * self._source.randrange(-64, 64)
        self._emit(encoding.mnemonic, **fields)

    def _add_branch(self) -> None:
        """Forward or backward."""
        encoding = self._source.choice(BRANCHING)
        fields = random_fields(self._source, encoding)
        if is_unpredictable(encoding, fields):
            fields["rs"] = 0
        fields["offset"] = self._source.choice(_FORWARD if self._source.random() < 0.93 else _BACKWARD)
        self._emit(encoding.mnemonic, **fields)
        self._words.append(self._slot_word())

    def _add_jump(self) -> None:
        self._emit(self._source.choice(("j", "jal")), index=self._code_address() >> 2)
        self._words.append(self._slot_word())

    def _add_register_jump(self) -> None:
        target = self._somewhere_in(_SEGMENTS)
        if self._source.random() < 0.03:
            target |= self._source.randrange(4)
        self._load_constant(_VALUE, target)
        if self._source.random() < 0.5:
            self._emit("jr", rs=_VALUE)
        else:
            self._emit("jalr", rs=_VALUE, rd=self._source.choice((0, 31, 2, _ADDRESS)))
        self._words.append(self._slot_word())

    def _add_read(self) -> None:
        name = self._source.choice(_REGISTER_NAMES)
        self._emit(f"mfc0.{name}", rt=self._source.randrange(32))

    def _add_register_move(self) -> None:
        """One instruction, with what happens to be in a register."""
        name = self._source.choice(("epc", "entry_lo0", "entry_lo1", "context", "user_local", "hwr_enable"))
        self._emit(f"{self._source.choice(('mfc0', 'mtc0'))}.{name}", rt=self._source.randrange(24))

    def _add_write(self) -> None:
        """To a register, or through the privileged-register page, a value that leaves something to do."""
        name = self._source.choice(_REGISTER_NAMES)
        if name in ("count", "compare", "ebase"):
            return
        self._load_constant(_VALUE, self._register_value(name))
        if self._source.random() < 0.15:
            register = next(each for each in CP0_REGISTERS if each.name == name)
            offset = _PRIVILEGED_PAGE - (1 << 32) + 32 * register.number + 4 * register.select
            self._emit("sw", base=0, rt=_VALUE, offset=offset)
        else:
            self._emit(f"mtc0.{name}", rt=_VALUE)

    def _register_value(self, name: str) -> int:
        source = self._source
        if name == "status":
            return self._context()[1] | source.choice((0, 0, 0, 0, 0, 2, 4, 1 << 22))
        if name == "cause":
            return (
                source.choice((0, 1 << 23))
                | source.choice((0, 0, 0x100, 0x200))
                | (source.random() < 0.1) << 27
            )
        if name in ("epc", "error_epc"):
            return self._somewhere_in(_SEGMENTS)
        if name == "entry_hi":
            return self._address() & 0xFFFF_E000 | source.randrange(4)
        if name in ("entry_lo0", "entry_lo1"):
            frame = source.choice((self._code_address(), _DATA + 0x1000 * source.randrange(DATA_PAGES))) >> 12
            return frame << 6 | source.choice((0, 2, 3, 6, 7, 7))
        if name == "page_mask":
            return (1 << 2 * source.choice((0, 0, 0, 0, 1, 2, 8))) - 1 << 13
        if name == "wired":
            return source.randrange(12)
        return values.integer(source)

    def _add_tlb(self) -> None:
        """An instruction of the TLB, usually after something has been said about the entry."""
        source = self._source
        if source.random() < 0.7:
            for name in ("entry_hi", "entry_lo0", "entry_lo1", "index"):
                self._load_constant(_VALUE, self._register_value(name))
                self._emit(f"mtc0.{name}", rt=_VALUE)
        self._emit(source.choice(("tlbwr", "tlbwr", "tlbwi", "tlbp", "tlbr")))

    def _add_interrupt_enable(self) -> None:
        self._emit(self._source.choice(("ei", "ei", "di")), rt=self._source.randrange(26))

    def _add_timer(self) -> None:
        self._emit("mfc0.count", rt=_VALUE)
        self._emit("addiu", rt=_VALUE, rs=_VALUE, imm=self._source.choice((-1, 0, 1, 2, 3, 10, 100, 1000)))
        self._emit("mtc0.compare", rt=_VALUE)

    def _add_atomic(self) -> None:
        self._load_constant(_ADDRESS, self._address() & -4)
        self._emit("ll", base=_ADDRESS, rt=self._source.randrange(24))
        if self._source.random() < 0.3:
            self._add_compute()
        self._emit(
            "sc", base=_ADDRESS, rt=self._source.randrange(24), offset=4 * (self._source.random() < 0.1)
        )

    def _add_raising(self) -> None:
        kind = self._source.randrange(4)
        if kind == 0:
            self._emit("syscall", code20=self._source.getrandbits(20))
        elif kind == 1:
            self._emit("break", code20=self._source.getrandbits(20))
        elif kind == 2:
            self._emit("teq", rs=0, rt=0)
        else:
            self._load_constant(_VALUE, 0x7FFF_FFFF)
            self._emit("add", rd=3, rs=_VALUE, rt=_VALUE)

    def _add_code_store(self) -> None:
        """An instruction in place of another one, perhaps one that is about to be executed."""
        self._load_constant(_VALUE, harmless_word(self._source))
        address = self._code_address()
        if self._source.random() < 0.5:
            address = CODE + 4 * min(len(self._words) + self._source.randrange(2, 12), _CODE_WORDS - 1)
        self._load_constant(_ADDRESS, self._source.choice(_SEGMENTS) | address)
        self._emit("sw", base=_ADDRESS, rt=_VALUE)
        if self._source.random() < 0.3:
            self._emit("synci", base=_ADDRESS)

    def _add_cache(self) -> None:
        self._emit(self._source.choice(("cache.index", "cache.hit")), base=_ADDRESS)
        self._words[-1] |= self._source.getrandbits(4) << 16  # which cache, and what to do with it

    def _add_hardware_register(self) -> None:
        name = self._source.choice(("cpunum", "synci_step", "cc", "ccres", "userlocal"))
        self._emit(f"rdhwr.{name}", rt=self._source.randrange(26))

    def _add_return(self) -> None:
        self._load_constant(_VALUE, self._register_value("epc"))
        self._emit("mtc0.epc", rt=_VALUE)
        self._emit("eret")

    def _add_wait(self) -> None:
        """With the timer let through, or it would be the end."""
        self._emit("mfc0.status", rt=_VALUE)
        self._emit("ori", rt=_VALUE, rs=_VALUE, uimm=0x8000 | self._source.getrandbits(1))
        self._emit("mtc0.status", rt=_VALUE)
        self._emit("wait")

    def _add_monitor_call(self) -> None:
        self._emit("hypcall")

    def _add_random_word(self) -> None:
        """Anything but a branch, which would hardly ever find code, or a move of the exception vectors."""
        while True:
            word = self._source.getrandbits(32)
            encoding = lookup_privileged(word)
            if encoding is None or not (encoding.flow.has_delay_slot or encoding.mnemonic == "mtc0.ebase"):
                self._words.append(word)
                return


class MovedKernelGenerator(KernelGenerator):
    """Its code is at many places in KUSEG, and knows none of them: regions are translated at one, and run at all."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        self._weights[self._add_jump] = 0

    def _somewhere_in(self, segments: tuple[int, ...]) -> int:
        segment = self._source.choice((0, self._source.choice(segments)))
        distance = 0 if segment else _COPY_DISTANCE * self._source.randrange(1, _COPIES)
        return segment + distance + self._code_address()

    def _frame_of_code(self, number: int) -> int | None:
        return super()._frame_of_code(number % (_COPY_DISTANCE >> 12) + (CODE >> 12))


def random_kernel(seed: int, instructions: int, *, moved: bool = False) -> Kernel:
    """The kernel of a seed; `moved`: of a MovedKernelGenerator."""
    generator = MovedKernelGenerator if moved else KernelGenerator
    return generator(random.Random(seed)).kernel(instructions)
