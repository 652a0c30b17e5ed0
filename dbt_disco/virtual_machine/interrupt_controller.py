"""The wires from the devices to the CPU's hardware interrupts."""

from __future__ import annotations

from collections.abc import Callable

from dbt_disco.devices.device import InterruptLine
from dbt_disco.virtual_machine.platform import HARDWARE_INTERRUPTS


class InterruptController:
    """Joins the devices' wires: a CPU interrupt is raised while any wire connected to it is.

    The levels are not state of their own: a device that is reset or restored drives its wire anew.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        """`changed` is told the new `levels` whenever they change."""
        self._changed = changed
        self._raised_wires = [0] * HARDWARE_INTERRUPTS.stop
        self._levels = 0

    @property
    def levels(self) -> int:
        """Bit n is the level of IPn; shifted left by 8 this is the field IP of CP0 Cause."""
        return self._levels

    def line(self, interrupt: int) -> InterruptLine:
        """A new wire, lowered, to IP`interrupt`; ValueError if hardware cannot raise that."""
        if interrupt not in HARDWARE_INTERRUPTS:
            raise ValueError(f"IP{interrupt} is no hardware interrupt")
        return _Wire(self, interrupt)

    def _wire_changed(self, interrupt: int, level: bool) -> None:
        raised = self._raised_wires[interrupt] + (1 if level else -1)
        self._raised_wires[interrupt] = raised
        bit = 1 << interrupt
        levels = self._levels | bit if raised else self._levels & ~bit
        if levels != self._levels:
            self._levels = levels
            self._changed(levels)


class _Wire(InterruptLine):
    def __init__(self, controller: InterruptController, interrupt: int) -> None:
        self._controller = controller
        self._interrupt = interrupt
        self._level = False

    def set(self, level: bool) -> None:
        level = bool(level)
        if level != self._level:
            self._level = level
            self._controller._wire_changed(self._interrupt, level)
