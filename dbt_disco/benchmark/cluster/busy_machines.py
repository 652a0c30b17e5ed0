"""Two virtual machines that compute on two processors: the bare-metal kernel with benchmark programs in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, machine, virtual_machine
from dbt_disco.benchmark.program_table import BARE_KERNEL, Program
from dbt_disco.benchmark.scenarios.guest_process import GuestError, Moment
from dbt_disco.benchmark.scenarios.scenario import Plan, Scenario, ScenarioAbsent

MACHINES: Final = ("one", "other")
_MEMORY: Final = 64 << 20
_WARMING: Final = 3
"""Runs after which everything that is hot has been translated."""
_PROMPT: Final = "# "
_END: Final = "program ends\n"


class BusyMachines(Scenario):
    """All steps of a subclass have the same cluster."""

    cluster: ClusterProcess

    def __init__(self, plan: Plan) -> None:
        """Nothing happens yet."""
        super().__init__(plan)
        self._running: ClusterProcess | None = None

    def prepare(self) -> None:
        """Choose the program: the first one that the kernel has."""
        programs = [program for program in self.plan.programs if program.is_bare]
        if not programs:
            raise ScenarioAbsent("the bare-metal kernel has none of the programs that were asked for")
        self.program: Program = programs[0]

    def finish(self) -> None:
        """End the cluster."""
        if self._running is not None:
            self._running.__exit__()
            self._running = None

    def start(self) -> None:
        """Start the cluster, and run the program on both, so that it is translated."""
        plan = self.plan
        directory = plan.directory / self.key
        directory.mkdir()
        vms = "".join(virtual_machine(name, BARE_KERNEL, memory=_MEMORY) for name in MACHINES)
        description = machine(1, 2 * _MEMORY * len(MACHINES), cpus_per_node=len(MACHINES)) + vms
        self.cluster = self._running = ClusterProcess(description, directory, plan.cache, plan.timeout)
        for name in MACHINES:
            self.cluster.start(name)
            self.cluster.wait_for(name, _PROMPT)
        for _ in range(_WARMING):
            self.execute(MACHINES)

    def execute(self, names: Sequence[str], rounds: int = 1) -> Moment:
        """Run the program beside each other on these, so many times; the time until all are ready, and the processor
        time of the cluster meanwhile. GuestError if one prints something else than it should."""
        cluster, program = self.cluster, self.program
        before, ends = cluster.process.moment(), 0.0
        begin = cluster.now()
        left = dict.fromkeys(names, rounds)
        for name in names:
            cluster.send(name, self._command)
        while left:
            for name in list(left):
                text, end = cluster.wait_for(name, _END)
                ends = max(ends, end)
                if hashlib.sha256(text.encode()).hexdigest() != program.outputs[self.plan.scale]:
                    raise GuestError(f"{program.name} has printed something else than expected")
                cluster.wait_for(name, _PROMPT)
                left[name] -= 1
                if left[name]:
                    cluster.send(name, self._command)
                else:
                    del left[name]
        used = cluster.process.moment() - before
        return Moment(ends - begin, used.processor_seconds)

    @property
    def _command(self) -> str:
        return f"{self.program.name} {self.program.arguments[self.plan.scale]}\n"
