"""Two virtual machines that compute beside each other, and two native processes."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from functools import partial
from typing import Final

from dbt_disco.benchmark.cluster.busy_machines import MACHINES, BusyMachines
from dbt_disco.benchmark.engines import NativeEngine, all_engines
from dbt_disco.benchmark.scenarios.guest_process import GuestError, Moment
from dbt_disco.benchmark.scenarios.scenario import NATIVE, OWN, Figure, ScenarioAbsent, Step, Target

_TARGET: Final = Target(0.9, at_least=True)
_ALONE: Final = "alone"
_BOTH: Final = "both"


class TwoProcessors(BusyMachines):
    """What each has of a host processor, beside the other: against its own single run, ours and native in turn."""

    key = "processors"

    def prepare(self) -> None:
        """Compile the program for the host."""
        super().prepare()
        directory = self.plan.directory / "native-processors"
        directory.mkdir()
        native = all_engines(directory)[NATIVE]
        assert isinstance(native, NativeEngine)
        native.compile([self.program])
        if native.absent:
            raise ScenarioAbsent(f"to compare with: {native.absent}")
        self._native = native

    def first_steps(self) -> list[Step]:
        """Have the program translated."""
        return [Step("two that compute: begin", self.start)]

    def repeat(self) -> list[Step]:
        """One, both, one native process, two."""
        return [
            Step("two that compute: one alone", self._alone),
            Step("two that compute: both", self._both),
            Step("two that compute: a native process alone", partial(self._run_native, _ALONE, 1)),
            Step("two that compute: two native processes", partial(self._run_native, _BOTH, 2)),
        ]

    def figures(self) -> list[Figure]:
        """Throughput beside each other, two native processes' = 1."""
        parts = {}
        for side in (OWN, NATIVE):
            medians = self.taken(side).medians()
            if _ALONE in medians and _BOTH in medians:
                parts[side] = medians[_ALONE].seconds / medians[_BOTH].seconds
        title = "two virtual machines that compute: throughput of each, native processes' = 1"
        if len(parts) < len((OWN, NATIVE)):
            return [Figure(title, None, "×", _TARGET)]
        title += f" ({parts[OWN]:.2f} and {parts[NATIVE]:.2f} of alone)"
        return [Figure(title, parts[OWN] / parts[NATIVE], "×", _TARGET)]

    def _alone(self) -> None:
        one, other = MACHINES
        self.cluster.execute("vm-pause", vm=other)
        self.taken(OWN).add(_ALONE, self.execute([one]))
        self.cluster.execute("vm-continue", vm=other)

    def _both(self) -> None:
        self.taken(OWN).add(_BOTH, self.execute(MACHINES))

    def _run_native(self, what: str, count: int) -> None:
        command = self._native.command(self.program, self.plan.scale)
        start = time.monotonic()
        with ExitStack() as stack:
            processes = [
                stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
                for _ in range(count)
            ]
            for process in processes:
                if process.wait(self.plan.timeout):
                    raise GuestError(f"{self.program.name}, native, has ended with {process.returncode}")
        self.taken(NATIVE).add(what, Moment(time.monotonic() - start, 0))
