"""Random single instructions, and what the generators know about instructions.

They stay out of what the architecture leaves unpredictable (a branch in a delay slot, a linking branch that
tests the link register, …) and out of what Unicorn cannot do: unaligned accesses, addresses beyond user
space, instruction fetch faults, and arithmetic on NaNs, which it hands on as QEMU 5 did (QEMU 7 delivers the
default NaN: `test_linux_programs` compares with that one).
"""

from __future__ import annotations

import random

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
LINK = 31
"""The register that linking branches write."""
COMPARABLE = [
    encoding
    for encoding in ENCODINGS.values()
    if not encoding.privileged and encoding.mnemonic not in NOT_COMPARABLE
]


def random_fields(source: random.Random, encoding: Encoding) -> dict[str, int]:
    """Any values that make an instruction."""
    while True:
        fields = {name: source.getrandbits(width) for name, (_, width) in encoding.fields.items()}
        word = encoding.match
        for name, number in fields.items():
            word |= number << encoding.fields[name][0]
        if encoding.matches(word):
            return fields


def is_unpredictable(encoding: Encoding, fields: dict[str, int]) -> bool:
    if encoding.mnemonic == "jalr":
        return fields["rs"] == fields["rd"]
    links = any(location == ("gpr", LINK) for location in dataflow(encoding).writes)
    return links and fields.get("rs") == LINK


def harmless_word(source: random.Random, spared: frozenset[int] = frozenset()) -> int:
    """For delay slots: it cannot branch, access memory, raise an exception, or write `spared`."""
    while True:
        encoding = source.choice(_HARMLESS)
        fields = random_fields(source, encoding)
        destination = gpr_destination(encoding)
        if destination is None or fields[destination] not in spared:
            return encode(encoding.mnemonic, **fields)


def single_instruction(source: random.Random, encoding: Encoding, wide_fpu: bool) -> Start:
    """One instruction (with its delay slot) on a random state."""
    while True:
        fields = random_fields(source, encoding)
        registers = values.registers(source, wide_fpu)
        if encoding.flow.has_delay_slot:
            usable = _aim_branch(source, encoding, fields, registers)
        elif "base" in fields:
            usable = _aim_access(source, encoding, fields, registers)
        else:
            usable = not _has_nan_operand(encoding, fields, registers, wide_fpu)
        if usable and not is_unpredictable(encoding, fields):
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


def _kind(encoding: Encoding) -> str:
    if encoding.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY):
        return "branching"
    if encoding.flow is not Flow.NEXT or encoding.mnemonic in ("ll", "sc"):
        return "other"
    if dataflow(encoding).accesses_memory:
        return "accessing"
    if _makes_float(encoding):
        return "making floats"
    return "other" if ExceptionCode.TR in dataflow(encoding).exceptions else "computing"


def _of_kind(kind: str) -> list[Encoding]:
    return [encoding for encoding in COMPARABLE if _kind(encoding) == kind]


BRANCHING = _of_kind("branching")
ACCESSING = _of_kind("accessing")
COMPUTING = _of_kind("computing")
"""Neither control flow nor memory access; NaNs in its operands are treated alike by every QEMU."""
MAKING_FLOATS = _of_kind("making floats")
_HARMLESS = [
    encoding
    for encoding in COMPUTING
    if not dataflow(encoding).exceptions and not any(name in encoding.fields for name in ("fs", "fd", "ft"))
]
