"""A small assembler over the patterns of the instruction table, so that tests need no toolchain.

    assemble("lw r3, -4(r29)")      general registers r0 … r31, FPU registers f0 … f31, codes cc0 … cc7
    assemble("beq r1, r2, +3")      branch distances and jump targets count instructions

Operands stand in the customary order; instructions that the table splits by a register number (`rdhwr.cc`,
`cfc1.fcsr`) keep the name they have there.
"""

from __future__ import annotations

import re

import translator.isa  # noqa: F401  (fills ENCODINGS)
from translator.encoding import ENCODINGS, Encoding

_OPERANDS_BY_FIELDS: dict[tuple[str, ...], str] = {
    ("rs", "rt", "rd"): "rd, rs, rt",
    ("rs", "rt", "imm"): "rt, rs, imm",
    ("rs", "rt", "uimm"): "rt, rs, uimm",
    ("rs", "cc", "rd"): "rd, rs, cc",
    ("rt", "rd"): "rd, rt",
    ("rs", "rt", "size", "lsb"): "rt, rs, lsb, size",
    ("rs", "rt", "msb", "lsb"): "rt, rs, lsb, msb",
    ("rs", "rd"): "rd, rs",
    ("rt", "rd", "sa"): "rd, rt, sa",
    ("ft", "fs", "fd"): "fd, fs, ft",
    ("fs", "fd"): "fd, fs",
    ("fr", "ft", "fs", "fd"): "fd, fr, fs, ft",
    ("ft", "fs", "cc"): "cc, fs, ft",
    ("base", "ft", "offset"): "ft, offset(base)",
    ("base", "rt", "offset"): "rt, offset(base)",
    ("base", "offset"): "offset(base)",
    ("base", "hint", "offset"): "hint, offset(base)",
    ("base", "rt", "fd"): "fd, rt(base)",
    ("base", "rt", "fs"): "fs, rt(base)",
    ("base", "rt", "hint"): "hint, rt(base)",
    ("cc", "fs", "fd"): "fd, fs, cc",
    ("rt", "fs", "fd"): "fd, fs, rt",
}
"""Operand order, where it differs from the order of the fields in the word."""
_OPERANDS_BY_MNEMONIC = {
    **dict.fromkeys(("sllv", "srlv", "srav", "rotrv"), "rd, rt, rs"),
    **dict.fromkeys(("clz", "clo"), "rd, rs"),
}
_OPTIONAL = frozenset({"code10", "code20", "stype"})
"""Operands that may be left out, and are 0 then."""


def syntax(encoding: Encoding) -> str:
    """The operands of an instruction, such as `rt, offset(base)`."""
    fields = tuple(encoding.fields)
    by_mnemonic = _OPERANDS_BY_MNEMONIC.get(encoding.mnemonic)
    return by_mnemonic or _OPERANDS_BY_FIELDS.get(fields) or ", ".join(fields)


def encode(mnemonic: str, /, **operands: int) -> int:
    """The word with these field values; fields not given are 0. ValueError if a value does not fit."""
    encoding = ENCODINGS[mnemonic]
    word = encoding.match
    for name, number in operands.items():
        shift, width = encoding.fields[name]
        if not -1 << (width - 1) <= number < 1 << width:
            raise ValueError(f"{mnemonic}: {name}={number} does not fit into {width} bits")
        word |= (number & (1 << width) - 1) << shift
    if not encoding.matches(word):
        raise ValueError(f"{mnemonic}: {operands} is no instruction")
    return word


def assemble(text: str) -> int:
    """The word of one line of assembly. ValueError if it cannot be understood."""
    mnemonic, _, operand_text = text.strip().partition(" ")
    if mnemonic == "nop":
        return 0
    if mnemonic == ".word":
        return int(operand_text, 0)
    if mnemonic not in ENCODINGS:
        raise ValueError(f"unknown instruction {mnemonic!r}")
    pattern = syntax(ENCODINGS[mnemonic])
    names = re.findall(r"\w+", pattern)
    operands = re.findall(r"[-+\w]+", operand_text)
    if len(operands) == len(names) - 1 and names[-1] in _OPTIONAL:
        names.pop()
    if len(operands) != len(names):
        raise ValueError(f"{text!r}: operands of {mnemonic} are {pattern}")
    fields = dict(zip(names, map(_operand, names, operands), strict=True))
    if mnemonic == "ext":
        fields["size"] -= 1
    if mnemonic == "ins":
        fields["msb"] += fields["lsb"] - 1
    return encode(mnemonic, **fields)


def _operand(name: str, text: str) -> int:
    prefix = "cc" if name == "cc" else _register_prefix(name)
    if prefix and not text.startswith(prefix):
        raise ValueError(f"operand {name} is written {prefix}N, not {text}")
    return int(text.removeprefix(prefix), 0)


def _register_prefix(name: str) -> str:
    if name in ("rs", "rt", "rd", "base"):
        return "r"
    return "f" if name in ("fs", "ft", "fd", "fr") else ""
