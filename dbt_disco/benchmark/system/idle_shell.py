"""A guest that idles at the shell on its initramfs: processor time that it takes, and memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Final

from dbt_disco.benchmark.scenarios.guest_process import GuestProcess
from dbt_disco.benchmark.scenarios.scenario import OWN, QEMU, Figure, Scenario, Step, Target
from dbt_disco.benchmark.scenarios.settling import QUIET, settle
from dbt_disco.benchmark.system.debian_shell import PROMPT, RESET, shell_guest
from dbt_disco.benchmark.system.launch import environment, own_command, qemu_command, wrapped

_IDLE: Final = "idle"
_IDLE_TARGET: Final = Target(3)
"""Percent of a host processor."""
_OVERHEAD: Final = 150
"""MB that the monitor may take beyond the memory that the guest has touched."""
_QUICKLY_QUIET: Final = 5
"""Seconds without compiling that are enough for a glimpse."""
_MB: Final = 1_000_000


class IdleShell(Scenario):
    """Nobody types, but the kernel ticks."""

    key = "idle"

    def prepare(self) -> None:
        """Wrap the kernel for QEMU."""
        guest = shell_guest(self.plan.guest)
        self._own_command = own_command(guest)
        self._qemu_command = qemu_command(wrapped(guest, self.plan.directory / "wrapped-idle"), "platform")

    def first_steps(self) -> list[Step]:
        """Fill the cache, also with what an idle guest does, and ask how much memory the guest touches."""
        return [Step("idle shell: how much memory the guest touches", self._measure_touched)]

    def repeat(self) -> list[Step]:
        """Ours, QEMU."""
        sides: list[tuple[str, Sequence[str], Mapping[str, str]]] = [
            (OWN, self._own_command, environment(self.plan.cache)),
            (QEMU, self._qemu_command, {}),
        ]
        return [
            Step(f"idle shell, {side}", partial(self._idle, command, variables, side))
            for side, command, variables in sides
        ]

    def figures(self) -> list[Figure]:
        """Percent of a processor, and private memory against what the guest has touched."""
        percents = {
            side: 100 * idle.processor_seconds / idle.seconds
            for side, idle in self.taken(_IDLE).medians().items()
        }
        memory = {side: median(self.amounts[side]) for side in (OWN, QEMU) if self.amounts.get(side)}
        touched = self.amounts.get("touched")
        title, target = "private memory at the shell", None
        if touched:
            title += f" (guest has touched {touched[0]:.0f} MB)"
            target = Target(touched[0] + _OVERHEAD)
        idle, used = percents.get(OWN), memory.get(OWN)
        return [
            Figure("idle at the shell, of a processor", idle, "%", _IDLE_TARGET, None, dict(percents)),
            Figure(title, used, "MB", target, None, dict(memory)),
        ]

    def _measure_touched(self) -> None:
        command = [*self._own_command, "--stats=json"]
        with GuestProcess(command, environment(self.plan.cache), timeout=self.plan.timeout) as guest:
            guest.wait_for(PROMPT)
            self._settle(guest)
            guest.send(RESET)
            guest.join()
            statistics = json.loads(guest.errors())
        self.amounts["touched"] = [statistics["memory_kib"]["touched"] * 1024 / _MB]

    def _idle(self, command: Sequence[str], variables: Mapping[str, str], side: str) -> None:
        with GuestProcess(command, variables, timeout=self.plan.timeout) as guest:
            guest.wait_for(PROMPT)
            self._settle(guest)
            before = guest.moment()
            time.sleep(self.plan.idle_seconds)
            self.taken(_IDLE).add(side, guest.moment() - before)
            self.amounts.setdefault(side, []).append(guest.private_memory() / _MB)
            guest.send(RESET)
            guest.join()

    def _settle(self, guest: GuestProcess) -> None:
        settle(guest, quiet=_QUICKLY_QUIET if self.plan.quick else QUIET)
