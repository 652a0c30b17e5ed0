"""Virtual machines with all their memory on the wrong node, as figures: see `placement`."""

from __future__ import annotations

from typing import Final

from dbt_disco.benchmark.cluster.placement import SECONDS, PlacementFigures, measure_placement
from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.scenario import Figure, Plan, Scenario, Step, Target

_START: Final = Target(20)
_END: Final = Target(80, at_least=True)
_COST: Final = Target(5)
_TURNS: Final = 5


class WrongNodes(Scenario):
    """One measurement, which has turns of its own."""

    key = "placement"

    def __init__(self, plan: Plan) -> None:
        """Nothing happens yet."""
        super().__init__(plan)
        self._found: PlacementFigures | None = None

    def prepare(self) -> None:
        """Nothing is needed."""

    def first_steps(self) -> list[Step]:
        """All of it."""
        return [Step("memory on the wrong nodes", self._measure)]

    def repeat(self) -> list[Step]:
        """Nothing more."""
        return []

    def figures(self) -> list[Figure]:
        """Local parts of the accesses sampled, and what moving has cost."""
        found = self._found
        start = end = cost = None
        if found is not None:
            start, cost = 100 * found.local_at_start, 100 * found.cost
            end = None if found.local_at_end is None else 100 * found.local_at_end
        return [
            Figure("memory on the wrong nodes: local accesses before anything moves", start, "%", _START),
            Figure(f"local accesses in second {SECONDS} of guest work", end, "%", _END),
            Figure("throughput that sampling and moving take", cost, "%", _COST),
        ]

    def _measure(self) -> None:
        try:
            found = self._found = measure_placement(1 if self.plan.quick else _TURNS)
        except TimeoutError as error:
            raise GuestError(str(error)) from error
        self.amounts["local"] = [fraction or 0 for fraction in found.local_by_second]
        self.amounts["throughput"] = [trace.throughput for trace in found.traces]
        self.amounts["moved"] = [found.migrated, found.replicated]
