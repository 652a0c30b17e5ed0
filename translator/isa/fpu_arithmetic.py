"""FPU arithmetic: two-operand, one-operand, multiply-add, and the two that only touch the sign."""

from __future__ import annotations

from typing import Any

from translator.algebra import Cpu
from translator.encoding import instruction
from translator.isa.fpu_registers import FORMAT_CODE, registers

_TWO_OPERANDS = {"add": "000000", "sub": "000001", "mul": "000010", "div": "000011"}
_ONE_OPERAND = {"sqrt": "000100", "recip": "010101", "rsqrt": "010110"}
_THREE_OPERANDS = {"madd": "100", "msub": "101", "nmadd": "110", "nmsub": "111"}
"""Operation → function field; COP1X's ends in the format."""
_COP1X_FORMAT = {"s": "000", "d": "001"}


def _define_two_operands(operation: str, kind: str) -> None:
    @instruction(f"{operation}.{kind}", f"010001 {FORMAT_CODE[kind]} ft fs fd {_TWO_OPERANDS[operation]}")
    def semantics(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.float_arithmetic(operation, kind, fpr[i.fs], fpr[i.ft])


def _define_one_operand(operation: str, kind: str) -> None:
    @instruction(f"{operation}.{kind}", f"010001 {FORMAT_CODE[kind]} ..... fs fd {_ONE_OPERAND[operation]}")
    def semantics(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.float_arithmetic(operation, kind, fpr[i.fs])


def _define_three_operands(operation: str, kind: str) -> None:
    """fd = ± (fs × ft ± fr), rounded after the product and after the sum."""
    function = _THREE_OPERANDS[operation] + _COP1X_FORMAT[kind]

    @instruction(f"{operation}.{kind}", f"010011 fr ft fs fd {function}")
    def semantics(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        fpr[i.fd] = cpu.float_arithmetic(operation, kind, fpr[i.fs], fpr[i.ft], fpr[i.fr])


def _define_sign_operations(kind: str) -> None:
    """abs and neg, which look at no NaN and raise nothing (QEMU with ABS2008 = 0 too)."""

    @instruction(f"abs.{kind}", f"010001 {FORMAT_CODE[kind]} ..... fs fd 000101")
    def absolute(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        value = fpr[i.fs]
        fpr[i.fd] = value & ((1 << (value.width - 1)) - 1)

    @instruction(f"neg.{kind}", f"010001 {FORMAT_CODE[kind]} ..... fs fd 000111")
    def negate(cpu: Cpu, i: Any) -> None:
        fpr = registers(cpu, kind)
        value = fpr[i.fs]
        fpr[i.fd] = value ^ (1 << (value.width - 1))


for _kind in "sd":
    for _operation in _TWO_OPERANDS:
        _define_two_operands(_operation, _kind)
    for _operation in _ONE_OPERAND:
        _define_one_operand(_operation, _kind)
    for _operation in _THREE_OPERANDS:
        _define_three_operands(_operation, _kind)
    _define_sign_operations(_kind)
