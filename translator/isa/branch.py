"""Branches and jumps. A link is written whether or not the branch is taken, before the delay slot runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translator.algebra import Cpu
from translator.encoding import Flow, instruction

RETURN_ADDRESS = 31
"""The implied destination of the linking branches, $ra."""


def _define_branch(
    mnemonic: str, pattern: str, likely: str, condition: Callable[[Cpu, Any], Any], link: bool
) -> None:
    """The branch and its likely form; `likely` is the pattern of the latter."""

    def set_link(cpu: Cpu) -> None:
        if link:
            cpu.gpr[RETURN_ADDRESS] = cpu.pc + 8

    @instruction(mnemonic, pattern, Flow.BRANCH)
    def branch(cpu: Cpu, i: Any) -> None:
        outcome = condition(cpu, i)
        set_link(cpu)
        cpu.branch(outcome, i.offset)

    @instruction(f"{mnemonic}l", likely, Flow.BRANCH_LIKELY)
    def branch_likely(cpu: Cpu, i: Any) -> None:
        outcome = condition(cpu, i)
        set_link(cpu)
        cpu.branch_likely(outcome, i.offset)


def _equal(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].eq(cpu.gpr[i.rt])


def _not_equal(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].ne(cpu.gpr[i.rt])


def _negative(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].lt_signed(0)


def _not_negative(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].lt_signed(0) ^ 1


def _not_positive(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].le_signed(0)


def _positive(cpu: Cpu, i: Any) -> Any:
    return cpu.gpr[i.rs].le_signed(0) ^ 1


def _condition_false(cpu: Cpu, i: Any) -> Any:
    return cpu.fcc[i.cc] ^ 1


def _condition_true(cpu: Cpu, i: Any) -> Any:
    return cpu.fcc[i.cc]


_define_branch("beq", "000100 rs rt offset", "010100 rs rt offset", _equal, link=False)
_define_branch("bne", "000101 rs rt offset", "010101 rs rt offset", _not_equal, link=False)
_define_branch("blez", "000110 rs 00000 offset", "010110 rs ..... offset", _not_positive, link=False)
_define_branch("bgtz", "000111 rs 00000 offset", "010111 rs ..... offset", _positive, link=False)
_define_branch("bltz", "000001 rs 00000 offset", "000001 rs 00010 offset", _negative, link=False)
_define_branch("bgez", "000001 rs 00001 offset", "000001 rs 00011 offset", _not_negative, link=False)
_define_branch("bltzal", "000001 rs 10000 offset", "000001 rs 10010 offset", _negative, link=True)
_define_branch("bgezal", "000001 rs 10001 offset", "000001 rs 10011 offset", _not_negative, link=True)
_define_branch("bc1f", "010001 01000 cc 00 offset", "010001 01000 cc 10 offset", _condition_false, link=False)
_define_branch("bc1t", "010001 01000 cc 01 offset", "010001 01000 cc 11 offset", _condition_true, link=False)


@instruction("j", "000010 index", Flow.JUMP)
def j(cpu: Cpu, i: Any) -> None:
    cpu.jump_in_segment(i.index)


@instruction("jal", "000011 index", Flow.JUMP)
def jal(cpu: Cpu, i: Any) -> None:
    cpu.gpr[RETURN_ADDRESS] = cpu.pc + 8
    cpu.jump_in_segment(i.index)


@instruction("jr", "000000 rs ............... 001000", Flow.JUMP_REGISTER)
def jr(cpu: Cpu, i: Any) -> None:
    cpu.jump(cpu.gpr[i.rs])


@instruction("jalr", "000000 rs ..... rd .0000 001001", Flow.JUMP_REGISTER)
def jalr(cpu: Cpu, i: Any) -> None:
    target = cpu.gpr[i.rs]
    cpu.gpr[i.rd] = cpu.pc + 8
    cpu.jump(target)
