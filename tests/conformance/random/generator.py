"""Random instructions and programs.

They stay out of what the architecture leaves unpredictable (a branch in a delay slot, a linking branch that
tests the link register, …) and out of what Unicorn cannot do: unaligned accesses, addresses beyond user space,
instruction fetch faults, and arithmetic on NaNs, which it hands on as QEMU 5 did (the default NaN is what
QEMU 7 delivers; `tests/conformance/fpu` compares with that one).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import translator.isa  # noqa: F401  (fills ENCODINGS)
from tests.conformance.assembler import encode
from tests.conformance.machine import (
    CODE,
    CODE_SIZE,
    DATA,
    DATA_SIZE,
    READ_ONLY,
    READ_ONLY_SIZE,
    Registers,
    Start,
)
from tests.conformance.random import values
from translator.dataflow import dataflow, gpr_destination
from translator.encoding import ENCODINGS, Encoding, Flow
from translator.float_mode import is_reserved
from translator.float_operations import ARITHMETIC_ARITY
from translator.state import ExceptionCode

ACCESS_SIZE = {
    **dict.fromkeys(("lh", "lhu", "sh"), 2),
    **dict.fromkeys(("lw", "sw", "ll", "sc", "lwc1", "swc1", "lwxc1", "swxc1"), 4),
    **dict.fromkeys(("ldc1", "sdc1", "ldxc1", "sdxc1"), 8),
}
"""Alignment that an access needs; 1 where not listed."""
NOT_COMPARABLE = {
    "rdhwr.cpunum": "Unicorn does not set EBase.CPUNum to 0",
    "rdhwr.cc": "a clock",
}
_LINK = 31
_DATA_POINTER, _CONSTANT_POINTER, _SCRATCH, _COUNTER = 29, 28, 27, 26
"""Registers of random programs that only the generator's own idioms write."""
_RESERVED = frozenset({_DATA_POINTER, _CONSTANT_POINTER, _SCRATCH, _COUNTER})
COMPARABLE = [encoding for encoding in ENCODINGS.values() if encoding.mnemonic not in NOT_COMPARABLE]


def _fields(source: random.Random, encoding: Encoding) -> dict[str, int]:
    """Any values that make an instruction."""
    while True:
        fields = {name: source.getrandbits(width) for name, (_, width) in encoding.fields.items()}
        word = encoding.match
        for name, number in fields.items():
            word |= number << encoding.fields[name][0]
        if encoding.matches(word):
            return fields


def _is_unpredictable(encoding: Encoding, fields: dict[str, int]) -> bool:
    if encoding.mnemonic == "jalr":
        return fields["rs"] == fields["rd"]
    links = any(location == ("gpr", _LINK) for location in dataflow(encoding).writes)
    return links and fields.get("rs") == _LINK


def harmless_word(source: random.Random, spared: frozenset[int] = frozenset()) -> int:
    """For delay slots: it cannot branch, access memory, raise an exception, or write the registers `spared`."""
    while True:
        encoding = source.choice(_HARMLESS)
        fields = _fields(source, encoding)
        destination = gpr_destination(encoding)
        if destination is None or fields[destination] not in spared:
            return encode(encoding.mnemonic, **fields)


def single_instruction(source: random.Random, encoding: Encoding, wide_fpu: bool) -> Start:
    """One instruction (with its delay slot) on a random state."""
    while True:
        fields = _fields(source, encoding)
        registers = values.registers(source, wide_fpu)
        if encoding.flow.has_delay_slot:
            usable = _aim_branch(source, encoding, fields, registers)
        elif "base" in fields:
            usable = _aim_access(source, encoding, fields, registers)
        else:
            usable = not _has_nan_operand(encoding, fields, registers, wide_fpu)
        if usable and not _is_unpredictable(encoding, fields):
            break
    words = [encode(encoding.mnemonic, **fields)]
    if encoding.flow.has_delay_slot:
        words.append(harmless_word(source))
    return Start(
        tuple(words),
        registers,
        data=source.randbytes(DATA_SIZE),
        read_only=source.randbytes(READ_ONLY_SIZE),
        entry=CODE_SIZE // 2,
        user_local=source.getrandbits(32),
    )


def _has_nan_operand(
    encoding: Encoding, fields: dict[str, int], registers: Registers, wide_fpu: bool
) -> bool:
    if not _makes_float(encoding):
        return False
    double = encoding.mnemonic.endswith(".d")
    for name in dataflow(encoding).register_fields() & {"fs", "ft", "fr"}:
        number = fields[name]
        bits = registers.fpr[number]
        if double and not wide_fpu:
            bits = registers.fpr[number & ~1] | registers.fpr[number | 1] << 32
        magnitude = bits & (0x7FFF_FFFF_FFFF_FFFF if double else 0x7FFF_FFFF)
        if magnitude > (0x7FF0_0000_0000_0000 if double else 0x7F80_0000):
            return True
    return False


def _makes_float(encoding: Encoding) -> bool:
    """Whether it computes a floating-point number from floating-point numbers."""
    name, _, formats = encoding.mnemonic.partition(".")
    return ExceptionCode.FPE in dataflow(encoding).exceptions and (
        name in ARITHMETIC_ARITY or formats in ("s.d", "d.s")
    )


def _aim_branch(
    source: random.Random, encoding: Encoding, fields: dict[str, int], registers: Registers
) -> bool:
    """Let it go somewhere within the code area, but not to itself."""
    here = CODE_SIZE // 2 // 4
    target = source.randrange(CODE_SIZE // 4)
    if target == here or (encoding.flow is Flow.BRANCH_LIKELY and target == here + 2):
        return False
    if "offset" in fields:
        fields["offset"] = target - here - 1
    elif "index" in fields:
        fields["index"] = CODE // 4 + target
    else:
        registers.gpr[fields["rs"]] = CODE + 4 * target
        return fields["rs"] != 0
    return True


def _aim_access(
    source: random.Random, encoding: Encoding, fields: dict[str, int], registers: Registers
) -> bool:
    """Let it access an address with the right alignment, mostly an existing one."""
    size = ACCESS_SIZE.get(encoding.mnemonic, 1)
    address = _address(source) & -size
    base = fields["base"]
    if "offset" in fields:
        fields["offset"] = source.randrange(-0x8000, 0x8000)
        displacement = fields["offset"]
    else:
        displacement = registers.gpr[fields["rt"]]
        if fields["rt"] == base:
            return False
    if base == 0:
        # The address is what it is: only good if it is aligned, and in user space.
        return 0 <= displacement < 0x8000_0000 and displacement % size == 0
    registers.gpr[base] = address - displacement & 0xFFFF_FFFF
    return True


def _address(source: random.Random) -> int:
    kind = source.random()
    if kind < 0.75:
        return DATA + source.randrange(DATA_SIZE)
    if kind < 0.85:
        return READ_ONLY + source.randrange(READ_ONLY_SIZE)
    edges = (DATA, DATA + DATA_SIZE, READ_ONLY, READ_ONLY + READ_ONLY_SIZE, 0x1000, 0x7FFF_FF00)
    return source.choice(edges) + source.randrange(-8, 8)


@dataclass
class Weights:
    """How often each kind of element occurs in a random program."""

    compute: float = 10
    access: float = 3
    branch: float = 2
    call: float = 0.5
    loop: float = 0.4
    atomic: float = 0.3
    risky: float = 0.15


class ProgramGenerator:
    """Random stretches, forward branches, bounded loops and indirect jumps, ended by a breakpoint."""

    def __init__(
        self, source: random.Random, wide_fpu: bool, length: int, weights: Weights | None = None
    ) -> None:
        self._source = source
        self._wide = wide_fpu
        self._length = length
        self._weights = weights or Weights()
        self._words: list[int] = []
        self._in_loop = False

    def start(self) -> Start:
        """The program and a random state for it."""
        self._words = []
        while len(self._words) < self._length:
            self._element()
        registers = values.registers(self._source, self._wide)
        registers.gpr[_DATA_POINTER] = DATA + DATA_SIZE // 2
        registers.gpr[_CONSTANT_POINTER] = READ_ONLY + READ_ONLY_SIZE // 2
        return Start(
            tuple(self._words),
            registers,
            data=self._source.randbytes(DATA_SIZE),
            read_only=self._source.randbytes(READ_ONLY_SIZE),
            user_local=self._source.getrandbits(32),
        )

    def _element(self) -> None:
        weights = vars(self._weights)
        kind = self._source.choices(list(weights), list(weights.values()))[0]
        if kind == "loop" and self._in_loop:
            kind = "compute"
        getattr(self, f"_add_{kind}")()

    def _emit(self, mnemonic: str, /, **fields: int) -> None:
        self._words.append(encode(mnemonic, **fields))

    def _slot_word(self) -> int:
        return harmless_word(self._source, _RESERVED)

    def _add_compute(self) -> None:
        self._words.append(self._compute_word())

    def _compute_word(self) -> int:
        """Anything without memory access and control flow; it may raise an exception."""
        while True:
            encoding = self._source.choice(_COMPUTING)
            fields = self._free_fields(encoding)
            if fields is None:
                continue
            word = encode(encoding.mnemonic, **fields)
            if not is_reserved(encoding, word, self._wide) or self._source.random() < 0.01:
                return word

    def _free_fields(self, encoding: Encoding) -> dict[str, int] | None:
        fields = _fields(self._source, encoding)
        destination = gpr_destination(encoding)
        if destination is not None and fields[destination] in _RESERVED:
            return None
        return None if _is_unpredictable(encoding, fields) else fields

    def _add_access(self) -> None:
        """Through a pointer register with an offset, or through a computed address."""
        while True:
            encoding = self._source.choice(_ACCESSING)
            fields = self._free_fields(encoding)
            if fields is not None:
                break
        size = ACCESS_SIZE.get(encoding.mnemonic, 1)
        if "offset" not in fields:
            fields["base"], fields["rt"] = self._computed_address(size), 0
        elif self._source.getrandbits(1):
            fields["base"], fields["offset"] = self._computed_address(size), 0
        else:
            fields["base"] = _DATA_POINTER
            if not dataflow(encoding).stores and self._source.random() < 0.2:
                fields["base"] = _CONSTANT_POINTER
            fields["offset"] = self._source.randrange(-0x800, 0x800) & -size
        self._emit(encoding.mnemonic, **fields)

    def _computed_address(self, size: int) -> int:
        index = self._source.randrange(32)
        self._emit("andi", rt=_SCRATCH, rs=index, uimm=0xFFF & -size)
        self._emit("addu", rd=_SCRATCH, rs=_SCRATCH, rt=_DATA_POINTER)
        return _SCRATCH

    def _add_branch(self) -> None:
        """Forward, over a few elements."""
        while True:
            encoding = self._source.choice(_BRANCHING)
            fields = self._free_fields(encoding)
            if fields is not None:
                break
        at = len(self._words)
        self._words += [0, self._slot_word()]
        body = self._source.randrange(5)
        for _ in range(body):
            self._words.append(self._compute_word())
        skipped = len(self._words) - at - 1
        if encoding.flow is Flow.BRANCH_LIKELY and skipped == 1:
            self._words.append(self._compute_word())
            skipped += 1
        fields["offset"] = skipped
        self._words[at] = encode(encoding.mnemonic, **fields)

    def _add_call(self) -> None:
        """Take the address of the code, and jump a few instructions ahead through a register or directly."""
        if self._source.random() < 0.3:
            target = len(self._words) + self._source.randrange(2, 6)
            self._emit(self._source.choice(("j", "jal")), index=CODE // 4 + target)
            self._words.append(self._slot_word())
            self._pad(target)
            return
        self._emit("bgezal", rs=0, offset=1)
        self._words.append(harmless_word(self._source, _RESERVED | {_LINK}))
        here = len(self._words)
        target = here + 3 + self._source.randrange(4)
        self._emit("addiu", rt=_SCRATCH, rs=_LINK, imm=4 * (target - here))
        if self._source.getrandbits(1):
            self._emit("jr", rs=_SCRATCH)
        else:
            self._emit("jalr", rs=_SCRATCH, rd=self._source.choice((0, 1, 2, 31)))
        self._words.append(self._slot_word())
        self._pad(target)

    def _pad(self, end: int) -> None:
        while len(self._words) < end:
            self._words.append(self._compute_word())

    def _add_loop(self) -> None:
        """A few elements, repeated up to 12 times."""
        self._in_loop = True
        self._emit("addiu", rt=_COUNTER, rs=0, imm=self._source.randrange(1, 12))
        top = len(self._words)
        for _ in range(self._source.randrange(1, 6)):
            self._element()
        self._emit("addiu", rt=_COUNTER, rs=_COUNTER, imm=-1)
        self._emit(self._source.choice(("bne", "bnel")), rs=_COUNTER, rt=0, offset=top - len(self._words) - 1)
        self._words.append(self._slot_word())
        self._words.append(self._compute_word())
        self._in_loop = False

    def _add_atomic(self) -> None:
        """ll, perhaps something between, sc; exactly one sc, as QEMU 5 lets a second one succeed."""
        offset = self._source.randrange(-0x800, 0x800) & -4
        destinations = [register for register in range(32) if register not in _RESERVED]
        self._emit("ll", base=_DATA_POINTER, rt=self._source.choice(destinations), offset=offset)
        if self._source.getrandbits(1):
            self._words.append(self._compute_word())
        if self._source.random() < 0.3:
            self._emit("sw", base=_DATA_POINTER, rt=self._source.randrange(32), offset=offset)
        other = self._source.random() < 0.1
        self._emit("sc", base=_DATA_POINTER, rt=self._source.choice(destinations), offset=offset + 4 * other)

    def _add_risky(self) -> None:
        """Something that is likely to raise an exception or to fault."""
        kind = self._source.randrange(5)
        if kind == 0:
            self._emit("sw", base=_CONSTANT_POINTER, rt=5, offset=self._source.randrange(-0x800, 0x800) & -4)
        elif kind == 1:
            self._emit("lw", base=0, rt=3, offset=self._source.randrange(0x7000) & -4)
        elif kind == 2:
            self._emit(self._source.choice(("syscall", "break")), code20=self._source.getrandbits(20))
        elif kind == 3:
            self._emit("tne", rs=self._source.randrange(32), rt=self._source.randrange(32))
        else:
            self._emit("beq", rs=0, rt=0, offset=3)
            self._emit("lbu", base=0, rt=3, offset=0)


def _kind(encoding: Encoding) -> str:
    if encoding.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY):
        return "branching"
    if encoding.flow is not Flow.NEXT or encoding.mnemonic in ("ll", "sc"):
        return "other"
    if dataflow(encoding).accesses_memory:
        return "accessing"
    if _makes_float(encoding):
        return "other"
    return "other" if ExceptionCode.TR in dataflow(encoding).exceptions else "computing"


_BRANCHING = [encoding for encoding in COMPARABLE if _kind(encoding) == "branching"]
_ACCESSING = [encoding for encoding in COMPARABLE if _kind(encoding) == "accessing"]
_COMPUTING = [encoding for encoding in COMPARABLE if _kind(encoding) == "computing"]
_HARMLESS = [
    encoding
    for encoding in _COMPUTING
    if not dataflow(encoding).exceptions and not any(name in encoding.fields for name in ("fs", "fd", "ft"))
]
