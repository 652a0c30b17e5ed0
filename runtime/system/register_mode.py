"""Which entries a vCPU runs as Status.FR changes: those for FPU registers of 64 bits, or of 32.

As long as the FPU is not usable, nobody sees the difference, and all entries will do. But whoever changes from one kind
to the other has all code decoded again, and made warm, and hot. A kernel that looks at the FPU when it starts, with
FR = 0, and then runs programs with FR = 1, should not do its work in between twice. So a vCPU has a *home*, where it is
while the FPU is not usable: FR = 1, unless what is done is too often done elsewhere.
"""

from __future__ import annotations

from typing import Final

from runtime.float_register_mode import change_float_layout
from translator.cp0_registers import Status
from translator.state import CpuState

_MOST_EXCURSIONS: Final = 8
"""From the home that there is at first, which then is where the vCPU has gone."""


class RegisterMode:
    """Of one vCPU: `wide_registers`, `wide_entries` and `is_away` in its state."""

    def __init__(self, state: CpuState) -> None:
        """The vCPU is at home."""
        self._state: Final = state
        self._home = state.wide_entries = 1
        self._excursions = 0

    def follow(self) -> None:
        """Status has changed: have registers and entries be what it asks for."""
        state = self._state
        wide = int(bool(state.status & Status.FR))
        if not state.status & Status.CU1:
            wide = self._home
        elif wide != state.wide_registers:
            change_float_layout(state, bool(wide))
            state.wide_registers = wide
        if wide != self._home:
            self._excursions += 1
            if self._excursions > _MOST_EXCURSIONS:
                self._home = wide
        state.wide_entries = wide
        state.is_away = int(wide != self._home)
