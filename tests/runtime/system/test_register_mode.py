"""Which entries run as Status.FR changes: guests see no difference, and code is made once as far as possible."""

from __future__ import annotations

import pytest

from runtime.system.register_mode import RegisterMode
from runtime.system.vcpu import SystemVcpu
from tests.runtime.system.bare_machine import BareMachine, Engine
from translator.cp0_registers import Status
from translator.state import CpuState, Stop

_FR_0, _FR_1 = Status.CU1, Status.CU1 | Status.FR
_TURNS = 40
_USE = (
    "mtc1 r4, f0",
    "mtc1 r6, f1",
    "mtc1 r4, f3",
    "cvt.d.w f2, f0",
    "mfc1 r5, f3",
    "addu r6, r6, r5",
    "mfc1 r5, f1",
)
"""With FR = 0, f3 is the high word of what the conversion gives."""
_OFF = ("mtc0.status r0", "sll r0, r0, 3")


def _use(status: int) -> tuple[str, ...]:
    """Use the FPU with this Status, and have it be unusable again."""
    return (
        f"lui r7, {status >> 16:#x}",
        "mtc0.status r7",
        "nop",
        *_USE,
        "addu r6, r6, r5",
        "rotr r6, r6, 3",
        *_OFF,
    )


def _run(
    engine: Engine, *uses: str, big_endian: bool = False
) -> tuple[list[int], SystemVcpu | None, dict[Stop, int]]:
    machine = BareMachine(engine, big_endian=big_endian)
    try:
        loop = (
            f"addiu r4, r0, {_TURNS}",
            "next:",
            *uses,
            "addiu r4, r4, -1",
            "bne r4, r0, next",
            "addu r6, r6, r4",
        )
        machine.start(*loop)
        assert machine.run() == "stop WAIT"
        vcpu = machine.vcpu
        stops = dict(vcpu.stops) if isinstance(vcpu, SystemVcpu) else {}
        return list(vcpu.state.gpr), vcpu if isinstance(vcpu, SystemVcpu) else None, stops
    finally:
        machine.close()


@pytest.mark.parametrize("engine", ["interpreter", "translator", "auto"])
@pytest.mark.parametrize(
    "uses",
    [_use(_FR_0), _use(_FR_1), _use(_FR_0) + _use(_FR_1), _use(_FR_1) + _use(_FR_0) + _use(_FR_0)],
    ids=["0", "1", "0 and 1", "1, 0 and 0"],
)
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
def test_guests_see_no_difference(engine: Engine, uses: tuple[str, ...], big_endian: bool) -> None:
    expected, _, _ = _run("reference", *uses, big_endian=big_endian)
    registers, _, _ = _run(engine, *uses, big_endian=big_endian)
    assert registers == expected


def test_a_guest_that_stays_elsewhere_is_at_home_there() -> None:
    """Each turn would be a stop for Python otherwise, or two."""
    _, _, stops = _run("interpreter", *_use(_FR_0))
    assert 0 < stops[Stop.REGISTER_MODE] < _TURNS
    _, _, stops = _run("interpreter", *_use(_FR_1))
    assert stops[Stop.REGISTER_MODE] == 1  # of the registers; the entries are there already


def test_entries_are_those_of_home_while_nobody_can_tell() -> None:
    state = CpuState()
    mode = RegisterMode(state)
    assert (state.wide_registers, state.wide_entries, state.is_away) == (0, 1, 0)
    state.status = _FR_0
    mode.follow()
    assert (state.wide_registers, state.wide_entries, state.is_away) == (0, 0, 1)
    state.status = 0
    mode.follow()
    assert (state.wide_registers, state.wide_entries, state.is_away) == (0, 1, 0)
    state.status = _FR_1
    mode.follow()
    assert (state.wide_registers, state.wide_entries, state.is_away) == (1, 1, 0)
