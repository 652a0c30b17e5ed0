"""The table of FPU operations: everything that sets FCSR.Cause, with the number that stands for it.

`last_fp_operation` of the CPU state holds such a number, so that Cause can be worked out when
it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from translator.fcsr import Rounding
from translator.float_format import FLOAT_FORMATS


@dataclass(frozen=True)
class FloatOperation:
    """One operation in one format (conversions: pair of formats)."""

    number: int
    """1 … ; 0 stands for none."""
    group: str
    """arithmetic, compare or convert."""
    name: str
    result: str
    """Format of the result: s d w l; comparisons: relation."""
    source: str
    """Format of the operands."""
    arity: int

    @property
    def nan(self) -> int:
        """Bits of the result if it is a NaN: negated products negate that, too."""
        form = FLOAT_FORMATS[self.result]
        return form.default_nan ^ (form.sign_bit if self.name.startswith("n") else 0)

    @property
    def symbol(self) -> str:
        """A name for it in generated code: madd_d, quiet_s, round_w_d."""
        formats = [self.source] if self.group != "convert" else [self.result, self.source]
        return "_".join([self.name, *formats])


ARITHMETIC_ARITY: Final = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "sqrt": 1, "recip": 1, "rsqrt": 1,
    "madd": 3, "msub": 3, "nmadd": 3, "nmsub": 3,
}  # fmt: skip
CONVERT_ROUNDING: Final[dict[str, Rounding | None]] = {
    "cvt": None,
    "round": Rounding.NEAREST,
    "trunc": Rounding.TOWARD_ZERO,
    "ceil": Rounding.UP,
    "floor": Rounding.DOWN,
}
"""Rounding mode of the conversions to integer; None: the one in FCSR."""
FLOAT_CONVERSIONS: Final = (("d", "s"), ("s", "d"), ("s", "w"), ("d", "w"), ("s", "l"), ("d", "l"))
"""(to, from) of the conversions to floating point."""

UNORDERED: Final = 1
EQUAL: Final = 2
LESS: Final = 4
"""The relation of two numbers, as the condition field of c.cond.fmt tests it; 0: greater."""
SIGNALS_ON_QUIET: Final = 8
"""Bit of the condition field: a quiet NaN is an invalid operation, too."""


def _table() -> tuple[FloatOperation, ...]:
    rows = [
        ("arithmetic", name, kind, kind, arity) for name, arity in ARITHMETIC_ARITY.items() for kind in "sd"
    ]
    rows += [("compare", name, "relation", kind, 2) for name in ("quiet", "signal") for kind in "sd"]
    rows += [("convert", "cvt", to, source, 1) for to, source in FLOAT_CONVERSIONS]
    rows += [("convert", name, to, source, 1) for name in CONVERT_ROUNDING for to in "wl" for source in "sd"]
    return tuple(FloatOperation(number, *row) for number, row in enumerate(rows, start=1))


FLOAT_OPERATIONS: Final = _table()
_BY_NAME: Final = {(one.name, one.result, one.source): one for one in FLOAT_OPERATIONS}


def arithmetic_operation(name: str, kind: str) -> FloatOperation:
    """`name` of ARITHMETIC_ARITY in the format `kind`."""
    return _BY_NAME[name, kind, kind]


def compare_operation(condition: int, kind: str) -> FloatOperation:
    """The comparison that c.cond.fmt makes; of `condition` only SIGNALS_ON_QUIET matters for exceptions."""
    return _BY_NAME["signal" if condition & SIGNALS_ON_QUIET else "quiet", "relation", kind]


def convert_operation(name: str, to: str, source: str) -> FloatOperation:
    """`name` of CONVERT_ROUNDING from the format `source` to `to`."""
    return _BY_NAME[name, to, source]


def operation_by_number(number: int) -> FloatOperation:
    """The inverse of `FloatOperation.number`."""
    return FLOAT_OPERATIONS[number - 1]
