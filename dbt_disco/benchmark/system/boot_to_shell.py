"""From the start of the process to the prompt of the shell on Debian's initramfs, the kernel as packaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.scenarios.guest_process import GuestProcess
from dbt_disco.benchmark.scenarios.scenario import QEMU, Figure, Scenario, Step, Target, compared
from dbt_disco.benchmark.system.debian_shell import PROMPT, RESET, shell_guest
from dbt_disco.benchmark.system.launch import environment, own_command, qemu_command, wrapped

_TARGETS: Final = {"cold": Target(1.1), "warm": Target(0.8)}
"""By what is in the cache: nothing of a guest, or what earlier boots have left. Times QEMU's time."""
_TO_SHELL: Final = "boot to the shell"
_TO_END: Final = "boot, shell and reset"
_FILLING: Final = 4
"""Boots after which nothing is left to be compiled: what is asked for late, each leaves to the next."""


class BootToShell(Scenario):
    """The guest is reset as soon as the prompt is there; the time to the end of the process is shown, too."""

    key = "boot"

    def prepare(self) -> None:
        """Wrap the kernel for QEMU."""
        guest = shell_guest(self.plan.guest)
        self._own_command = own_command(guest)
        wrapper = wrapped(guest, self.plan.directory / "wrapped-kernel")
        self._qemu_command = qemu_command(wrapper, "platform")

    def first_steps(self) -> list[Step]:
        """Fill the cache with everything that boots leave there."""
        return [Step(f"{_TO_SHELL}, to fill the cache", partial(self._boot, self.plan.cache))] * _FILLING

    def repeat(self) -> list[Step]:
        """Cold, QEMU, warm."""
        return [
            Step(f"{_TO_SHELL}, cold", self._boot_cold),
            Step(f"{_TO_SHELL}, {QEMU}", self._boot_on_qemu),
            Step(f"{_TO_SHELL}, warm", partial(self._boot, self.plan.cache, "warm")),
        ]

    def figures(self) -> list[Figure]:
        """To the prompt, and to the end of the process."""
        figures = [
            compared(f"{_TO_SHELL}, {cache} cache", self.taken(_TO_SHELL), cache, target)
            for cache, target in _TARGETS.items()
        ]
        return figures + [
            compared(f"{_TO_END}, {cache} cache", self.taken(_TO_END), cache, None) for cache in _TARGETS
        ]

    def _boot_cold(self) -> None:
        with self.plan.cold_cache.directory(timed=True) as cache:
            self._boot(cache, "cold")

    def _boot(self, cache: Path, side: str | None = None) -> None:
        self._run(self._own_command, environment(cache), side)

    def _boot_on_qemu(self) -> None:
        self._run(self._qemu_command, {}, QEMU)

    def _run(self, command: Sequence[str], variables: Mapping[str, str], side: str | None) -> None:
        """One process; its times are kept under `side`, unless that is None."""
        with GuestProcess(command, variables, timeout=self.plan.timeout) as guest:
            shell = guest.wait_for(PROMPT)
            guest.send(RESET)
            end = guest.join()
        if side is not None:
            self.taken(_TO_SHELL).add(side, shell)
            self.taken(_TO_END).add(side, end)
