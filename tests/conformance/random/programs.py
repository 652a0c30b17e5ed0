"""Random programs, which always end."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.conformance.assembler import encode
from tests.conformance.machine import CODE, DATA, DATA_SIZE, READ_ONLY, READ_ONLY_SIZE, Start
from tests.conformance.random import values
from tests.conformance.random.instructions import (
    ACCESS_SIZE,
    ACCESSING,
    BRANCHING,
    COMPUTING,
    LINK,
    MAKING_FLOATS,
    harmless_word,
    is_unpredictable,
    random_fields,
)
from translator.dataflow import dataflow, gpr_destination
from translator.encoding import Encoding, Flow
from translator.float_mode import is_reserved

_DATA_POINTER, _CONSTANT_POINTER, _SCRATCH, _COUNTER = 29, 28, 27, 26
"""Registers that only the generator's own idioms write."""
_RESERVED = frozenset({_DATA_POINTER, _CONSTANT_POINTER, _SCRATCH, _COUNTER})
_WEIGHTS = {
    "compute": 10,
    "access": 3,
    "branch": 2,
    "call": 0.5,
    "loop": 0.4,
    "atomic": 0.3,
    "risky": 0.15,
}
"""How often each kind of element occurs."""


@dataclass(frozen=True)
class Profile:
    """What a program may contain, depending on the reference it is compared with."""

    float_arithmetic: bool
    """Arithmetic that may meet NaNs."""
    system_calls: bool
    """syscall, and break with any code."""


FOR_UNICORN = Profile(float_arithmetic=False, system_calls=True)
FOR_LINUX = Profile(float_arithmetic=True, system_calls=False)


class ProgramGenerator:
    """Random stretches, forward branches, bounded loops and indirect jumps, ended by a breakpoint."""

    def __init__(self, source: random.Random, wide_fpu: bool, length: int, profile: Profile) -> None:
        self._source = source
        self._wide = wide_fpu
        self._length = length
        self._profile = profile
        self._computing = COMPUTING + (MAKING_FLOATS if profile.float_arithmetic else [])
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
        kind = self._source.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
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
            encoding = self._source.choice(self._computing)
            fields = self._free_fields(encoding)
            if fields is None:
                continue
            word = encode(encoding.mnemonic, **fields)
            if not is_reserved(encoding, word, self._wide) or self._source.random() < 0.01:
                return word

    def _free_fields(self, encoding: Encoding) -> dict[str, int] | None:
        fields = random_fields(self._source, encoding)
        destination = gpr_destination(encoding)
        if destination is not None and fields[destination] in _RESERVED:
            return None
        return None if is_unpredictable(encoding, fields) else fields

    def _add_access(self) -> None:
        """Through a pointer register with an offset, or through a computed address."""
        while True:
            encoding = self._source.choice(ACCESSING)
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
            encoding = self._source.choice(BRANCHING)
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
        self._words.append(harmless_word(self._source, _RESERVED | {LINK}))
        here = len(self._words)
        target = here + 3 + self._source.randrange(4)
        self._emit("addiu", rt=_SCRATCH, rs=LINK, imm=4 * (target - here))
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
        kind = self._source.randrange(5 if self._profile.system_calls else 4)
        if kind == 0:
            self._emit("sw", base=_CONSTANT_POINTER, rt=5, offset=self._source.randrange(-0x800, 0x800) & -4)
        elif kind == 1:
            self._emit("lw", base=0, rt=3, offset=self._source.randrange(0x7000) & -4)
        elif kind == 2:
            self._emit("tne", rs=self._source.randrange(32), rt=self._source.randrange(32))
        elif kind == 3:
            self._emit("beq", rs=0, rt=0, offset=3)
            self._emit("lbu", base=0, rt=3, offset=0)
        else:
            self._emit(self._source.choice(("syscall", "break")), code20=self._source.getrandbits(20))
