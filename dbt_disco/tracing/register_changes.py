"""Which registers have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbt_disco.registers import GENERAL_NAMES

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu


class RegisterChanges:
    """Compares a vCPU's registers with how they were at the last look. FCSR's flags are left out."""

    def __init__(self, vcpu: AnyVcpu) -> None:
        self._vcpu = vcpu
        self._before = self._values()

    def take(self) -> str:
        """`name=value` for each register changed since the last look; empty if none has."""
        values = self._values()
        before, self._before = self._before, values
        if values == before:
            return ""
        pairs = zip(self._names(), before, values, strict=True)
        return " ".join(f"{name}={_shown(name, new)}" for name, old, new in pairs if old != new)

    def _values(self) -> list[int]:
        state = self._vcpu.state
        return [*state.gpr[:32], state.hi, state.lo, *state.fpr, *state.fcc]

    def _names(self) -> list[str]:
        """FPU doublewords are named by the register or the even register of the pair."""
        step = 1 if self._vcpu.wide_fpu else 2
        doublewords = [f"f{step * number}" if step * number < 32 else "" for number in range(32)]
        return [*GENERAL_NAMES, "hi", "lo", *doublewords, *(f"fcc{number}" for number in range(8))]


def _shown(name: str, value: int) -> str:
    if name.startswith("fcc"):
        return str(value)
    return f"{value:016x}" if name.startswith("f") and name != "fp" else f"{value:08x}"
