"""Results of host arithmetic whose check for NaNs is put off, so that one check serves many operations.

A NaN operand makes every arithmetic result a NaN, on the host as in MIPS. So among operations that nobody
has looked at in between, only those results need a test that no other operation has used, and one
comparison tests two of them. If a test finds a NaN, a cold block has the operations repaired in order
(`translator.float_repair`). Sticky flags and all other results are right already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from translator.float_expressions import LLVM_TYPE, unordered
from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH
from translator.float_operations import FloatOperation
from translator.float_repair import REPAIR, planned, store_plan, value_pointer
from translator.ir import FunctionBuilder, IrValue
from translator.state import FLOAT_PLAN_SIZE

COLD_CALL: Final = "call preserve_allcc void"
"""The convention of the routines that hot code calls from cold blocks: no register is lost."""


class UncheckedFloat(IrValue):
    """A result that may be a NaN of the host. Asking for its bits, or for a number to keep, has it checked
    first."""

    __slots__ = ("_checks",)

    def __init__(self, checks: FloatChecks, float_name: str, width: int) -> None:
        super().__init__(checks.builder, None, width, None, float_name)
        self._checks: FloatChecks | None = checks

    @property
    def is_unchecked(self) -> bool:
        return self._checks is not None

    @property
    def name(self) -> str:
        self._check()
        return super().name

    def as_float(self) -> str:
        self._check()
        return super().as_float()

    def _check(self) -> None:
        if self._checks is not None:
            self._checks.settle()

    def unchecked_name(self) -> str:
        """LLVM operand of floating-point type: the host's result, for operations that are checked later."""
        return super().as_float()

    def become_checked(self, float_name: str) -> None:
        """From now on this value is the local `float_name`."""
        self._float_name = float_name
        self._checks = None


def unchecked_operand(value: IrValue) -> str:
    """The floating-point operand of an operation whose own result will be checked."""
    return value.unchecked_name() if isinstance(value, UncheckedFloat) else value.as_float()


@dataclass
class _Deferred:
    """An operation that has been computed and not yet checked."""

    operation: FloatOperation
    operands: Sequence[str]
    result: UncheckedFloat | None
    """None: a comparison."""


class FloatChecks:
    """The checks owed. `settled` is called with the values that have been checked, in the block that
    follows."""

    def __init__(self, builder: FunctionBuilder, settled: Callable[[Sequence[UncheckedFloat]], None]) -> None:
        self.builder = builder
        self._settled = settled
        self._deferred: list[_Deferred] = []
        self._unused: dict[str, str] = {}
        """Results that no deferred operation has used → format."""
        self._compared: list[tuple[str, str, str]] = []
        """(format, a, b) of comparisons."""

    def defer_result(self, operation: FloatOperation, operands: Sequence[str], result: str) -> UncheckedFloat:
        """`operation` on the LLVM operands `operands` gave the local `result`."""
        value = UncheckedFloat(self, result, FORMAT_WIDTH[operation.result])
        self._add(_Deferred(operation, operands, value))
        self._unused[result] = operation.result
        return value

    def defer_comparison(self, operation: FloatOperation, a: str, b: str) -> None:
        """a and b were compared; nothing depends on the check except the exception *invalid*."""
        self._add(_Deferred(operation, (a, b), None))
        self._compared.append((operation.source, a, b))

    def make_room(self) -> None:
        """For one more; to be called before its operands are looked at, as it may give them new names."""
        if len(self._deferred) == FLOAT_PLAN_SIZE:
            self.settle()

    def _add(self, deferred: _Deferred) -> None:
        self._deferred.append(deferred)
        for operand in deferred.operands:
            self._unused.pop(operand, None)

    def settle(self) -> None:
        """Emit the check of everything that is owed."""
        deferred, self._deferred = self._deferred, []
        if not deferred:
            return
        tests = [*self._compared, *self._pairs()]
        self._unused, self._compared = {}, []
        builder = self.builder
        cold, done = builder.label("some_nan"), builder.label("no_nan")
        before = self._emit_tests(tests, cold, done)
        builder.block(cold)
        repaired = self._repair(deferred)
        builder.emit(f"br label %{done}")
        builder.block(done)
        values = [one.result for one in deferred if one.result is not None]
        for value in values:
            kind, raw = LLVM_TYPE["s" if value.width == 32 else "d"], value.unchecked_name()
            phi = f"phi {kind} [ {raw}, %{before} ], [ {repaired[raw]}, %{cold} ]"
            value.become_checked(builder.assign("checked", phi))
        self._settled(values)

    def _pairs(self) -> list[tuple[str, str, str]]:
        """The unused results two by two; the last one perhaps with itself."""
        pairs = []
        for kind in FLOAT_FORMATS:
            names = [name for name, form in self._unused.items() if form == kind]
            pairs += [(kind, a, b) for a, b in zip(names[::2], names[1::2] + names[-1:], strict=False)]
        return pairs

    def _emit_tests(self, tests: Sequence[tuple[str, str, str]], cold: str, done: str) -> str:
        """Go to `cold` if any test finds a NaN, else to `done`; gives the label from which that is
        reached."""
        builder = self.builder
        labels = [builder.label("check") for _ in tests]
        builder.emit(f"br label %{labels[0]}")
        for (kind, a, b), label, following in zip(tests, labels, [*labels[1:], done], strict=True):
            builder.block(label)
            found = IrValue(builder, unordered(builder, kind, a, b), 1)
            builder.branch_if(found, cold, following, unlikely=True)
        return labels[-1]

    def _repair(self, deferred: Sequence[_Deferred]) -> dict[str, str]:
        """Have NaNs of the host replaced; gives the names of the right results by those of the host's."""
        builder = self.builder
        numbers: dict[str, int] = {}

        def number_of(name: str, kind: str) -> int:
            if name not in numbers:
                numbers[name] = len(numbers)
                builder.emit(f"store {LLVM_TYPE[kind]} {name}, ptr {value_pointer(builder, numbers[name])}")
            return numbers[name]

        plan = []
        results: list[tuple[str, FloatOperation]] = []
        for one in deferred:
            operation = one.operation
            operands = [number_of(name, operation.source) for name in one.operands]
            result = 0
            if one.result is not None:
                raw = one.result.unchecked_name()
                result = number_of(raw, operation.result)
                results.append((raw, operation))
            plan.append(planned(operation, result, operands))
        store_plan(builder, plan)
        builder.emit(f"{COLD_CALL} @{REPAIR}(ptr %state, i32 {len(plan)})")
        repaired = {}
        for raw, operation in results:
            text = f"load {LLVM_TYPE[operation.result]}, ptr {value_pointer(builder, numbers[raw])}"
            repaired[raw] = builder.assign("repaired", text)
        return repaired
