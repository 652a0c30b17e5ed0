"""The one-line notation of instruction tests.

    addu r3, r1, r2 | r1=5 r2=7 -> r3=12
    beq r1, r2, +4; addiu r5, r5, 1 | r1=1 r2=1 r5=0 -> r5=1 pc=+20
    be: lwl r3, 1(r1) | r1=DATA [DATA]:w=0x11223344 r3=0xaabbccdd -> r3=0x223344dd
    add r3, r1, r2 | r1=0x7fffffff r2=1 -> exception=OV

Instructions, separated by `;`, then the state before, then what changes. What is not named starts with an
arbitrary value and must not change. Execution goes on to the first exception, which is the breakpoint behind
the last instruction unless the right-hand side has `exception=`, `fault=` (an address) or `pc=` (an address,
or with a sign the distance from the first instruction); `slot` says that the exception is in a delay slot,
`retired=` how many instructions completed, `address=` what BadVAddr holds.

A line holds in both byte orders and both FPU register modes, unless `le:`, `be:`, `fr0:` or `fr1:` precedes
it; `user:` marks what Unicorn cannot tell, mostly that unaligned accesses complete in user mode under Linux.

Locations: r1, hi, lo, cc0 … cc7, fcsr, user_local; f1:s f1:d f1:w f1:l for an FPU register as a float,
double, word or long; [DATA+8]:b :h :w :d for memory in guest order. Numbers: integers, floats, inf, nan
(MIPS's default quiet one), DATA, CODE, READ_ONLY and sums of these; `?` on the right: any value.
`raised=VZOUI` on the right: these exceptions are in Cause and added to Flags; `cause=`: in Cause only.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.assembler import assemble
from tests.conformance.machine import CODE, DATA, DATA_SIZE, READ_ONLY, Outcome, Registers, Start
from translator.fcsr import CAUSE_SHIFT, CONDITION_BITS, FLAGS_SHIFT

_FLAG_LETTERS = {"I": 1, "U": 2, "O": 4, "Z": 8, "V": 16, "E": 32}
_SYMBOLS = {"DATA": DATA, "CODE": CODE, "READ_ONLY": READ_ONLY}
_DEFAULT_NAN = {"s": 0x7FBF_FFFF, "d": 0x7FF7_FFFF_FFFF_FFFF}
_MEMORY_SIZE = {"b": 1, "h": 2, "w": 4, "d": 8}
_ENTRY = 0x100
"""Distance of the first instruction from CODE, so that there is room to branch backwards."""


@dataclass(frozen=True)
class Case:
    """One line."""

    text: str
    modes: frozenset[str]
    instructions: tuple[str, ...]
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]

    def applies(self, big_endian: bool, wide_fpu: bool) -> bool:
        """Whether the line holds in this mode."""
        return not self.modes & {"le" if big_endian else "be", "fr0" if wide_fpu else "fr1"}

    @property
    def for_unicorn(self) -> bool:
        return "user" not in self.modes

    @property
    def uses_fpu(self) -> bool:
        return bool(re.search(r"\bf\d|cc\d|fcsr", self.text))

    @property
    def mnemonics(self) -> list[str]:
        return [instruction.split()[0] for instruction in self.instructions]


def read_cases(path: Path) -> Iterator[Case]:
    """The lines of a table; blank lines and `#` comments are skipped."""
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text:
            yield parse(text)


def parse(text: str) -> Case:
    """One line of the notation."""
    modes = re.match(r"(?:(?:le|be|fr0|fr1|user): *)*", text)
    assert modes is not None
    program, _, effect = text[modes.end() :].partition("|")
    before, arrow, after = effect.partition("->")
    assert arrow, f"no -> in {text!r}"
    return Case(
        text=text,
        modes=frozenset(re.findall(r"\w+", modes.group())),
        instructions=tuple(part.strip() for part in program.split(";")),
        before=tuple(_settings(before)),
        after=tuple(_settings(after)),
    )


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for setting in text.split():
        name, _, value = setting.partition("=")
        yield name, value


class Bench:
    """A case in one mode: its start, and what must come of it."""

    def __init__(self, case: Case, big_endian: bool, wide_fpu: bool) -> None:
        self._order = "big" if big_endian else "little"
        self._wide = wide_fpu
        self._registers = _arbitrary_registers(wide_fpu)
        self._memory = bytearray(byte & 0xFF for byte in range(DATA_SIZE))
        self._user_local = 0x1357_9BDF
        for name, value in case.before:
            self._set(name, value)
        words = tuple(assemble(instruction) for instruction in case.instructions)
        self.start = Start(
            words,
            _copy(self._registers),
            bytes(self._memory),
            read_only=bytes(range(256)) * 16,
            entry=_ENTRY,
            user_local=self._user_local,
        )
        self._pc: int | None = None
        self._event = "exception BP"
        self._address: int | None = None
        self._in_delay_slot = False
        self._retired: int | None = None
        self._open: list[str] = []
        for name, value in case.after:
            self._expect(name, value)
        if self._pc is None:
            self._pc = self.start.pc + (4 * len(words) if self._event == "exception BP" else 0)

    def expected(self, actual: Outcome) -> Outcome:
        """The outcome that the right-hand side demands; where it says nothing, `actual`'s."""
        assert self._pc is not None
        for name in self._open:
            self._take(name, actual.registers)
        return Outcome(
            event=self._event,
            pc=self._pc,
            in_delay_slot=self._in_delay_slot,
            bad_address=actual.bad_address if self._address is None else self._address,
            retired=actual.retired if self._retired is None else self._retired,
            registers=self._registers,
            data=bytes(self._memory),
        )

    def _expect(self, name: str, value: str) -> None:
        if name == "pc":
            self._pc = (self.start.pc if value[0] in "+-" else 0) + _integer(value)
        elif name == "exception":
            self._event = f"exception {value}"
        elif name == "fault":
            self._event, self._address = "fault", _integer(value)
        elif name == "address":
            self._address = _integer(value)
        elif name == "slot":
            self._in_delay_slot = True
        elif name == "retired":
            self._retired = int(value, 0)
        elif value == "?":
            self._open.append(name)
        elif name in ("raised", "cause"):
            bits = sum(_FLAG_LETTERS[letter] for letter in value)
            self._registers.fcsr &= ~(0x3F << CAUSE_SHIFT)
            self._registers.fcsr |= bits << CAUSE_SHIFT | (bits << FLAGS_SHIFT if name == "raised" else 0)
        else:
            self._set(name, value)

    def _take(self, name: str, actual: Registers) -> None:
        if name == "fcsr":
            self._registers.fcsr = actual.fcsr
        else:
            self._registers.gpr[int(name[1:])] = actual.gpr[int(name[1:])]

    def _set(self, name: str, value: str) -> None:
        registers = self._registers
        place, _, kind = name.partition(":")
        if place.startswith("["):
            self._set_memory(_integer(place.strip("[]")), _MEMORY_SIZE[kind], _integer(value))
        elif place.startswith("f") and place != "fcsr":
            self._set_float(int(place[1:]), kind, value)
        elif place.startswith("cc"):
            bit = CONDITION_BITS[int(place[2:])]
            registers.fcsr = registers.fcsr & ~(1 << bit) | int(value) << bit
        elif place.startswith("r"):
            registers.gpr[int(place[1:])] = _integer(value) & 0xFFFF_FFFF
        elif place == "user_local":
            self._user_local = _integer(value)
        else:
            assert place in ("hi", "lo", "fcsr"), name
            setattr(registers, place, _integer(value) & 0xFFFF_FFFF)

    def _set_memory(self, address: int, size: int, number: int) -> None:
        offset = address - DATA
        assert 0 <= offset <= DATA_SIZE - size, hex(address)
        self._memory[offset : offset + size] = (number & (1 << 8 * size) - 1).to_bytes(size, self._order)

    def _set_float(self, register: int, kind: str, value: str) -> None:
        bits = _float_bits(kind, value)
        fpr = self._registers.fpr
        if kind in "sw" and self._wide:
            fpr[register] = fpr[register] & ~0xFFFF_FFFF | bits
        elif kind in "sw" or self._wide:
            fpr[register] = bits
        else:
            fpr[register & ~1], fpr[register | 1] = bits & 0xFFFF_FFFF, bits >> 32


def _arbitrary_registers(wide: bool) -> Registers:
    unit = 0x0101_0101_0101_0101 if wide else 0x0101_0101
    return Registers(
        gpr=[0] + [0xA5A5_0000 + 0x101 * number for number in range(1, 32)],
        hi=0x5A5A_0001,
        lo=0x5A5A_0002,
        fpr=[unit * (number + 0x40) for number in range(32)],
        fcsr=0,
    )


def _copy(registers: Registers) -> Registers:
    return Registers(list(registers.gpr), registers.hi, registers.lo, list(registers.fpr), registers.fcsr)


def _integer(text: str) -> int:
    """A sum of integers and symbols: DATA+4, -0x8000."""
    total = 0
    for sign, term in re.findall(r"([-+]?)(\w+)", text):
        number = _SYMBOLS[term] if term in _SYMBOLS else int(term, 0)
        total += -number if sign == "-" else number
    return total


def _float_bits(kind: str, value: str) -> int:
    if value.startswith("0x"):
        return int(value, 16)
    if kind in "wl":
        return int(value) & (0xFFFF_FFFF if kind == "w" else 0xFFFF_FFFF_FFFF_FFFF)
    if value == "nan":
        return _DEFAULT_NAN[kind]
    packed = struct.pack(">f" if kind == "s" else ">d", float(value))
    return int.from_bytes(packed, "big")
