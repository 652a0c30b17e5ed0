"""A session: the steps of all scenarios, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.kind import Kind
from dbt_disco.benchmark.scenarios.scenario import Scenario, ScenarioAbsent, Step
from dbt_disco.command_error import CommandError


class Session:
    """Scenarios that turn out to be impossible, or fail, are left where they are; the others go on."""

    def __init__(self, kind: Kind, scenarios: Sequence[Scenario], repeats: int) -> None:
        self.kind: Final = kind
        self.scenarios: Final = scenarios
        self.repeats: Final = repeats
        self.absent: Final[dict[str, str]] = {}
        """Why a scenario could not begin, by its key."""
        self.failures: Final[dict[str, str]] = {}
        """What has gone wrong in a scenario, by its key."""

    def run(self, before: Callable[[Scenario, Step, float], None]) -> None:
        """Run everything; `before` is told each step, and which part of its scenario is done (0 to 1)."""
        for scenario in self.scenarios:
            try:
                scenario.prepare()
            except ScenarioAbsent as reason:
                self.absent[scenario.key] = str(reason)
                continue
            except (GuestError, CommandError) as error:
                self.failures[scenario.key] = str(error)
                continue
            self._run(scenario, before)

    def _run(self, scenario: Scenario, before: Callable[[Scenario, Step, float], None]) -> None:
        steps = scenario.first_steps()
        for _ in range(self.repeats):
            steps += scenario.repeat()
        try:
            for number, step in enumerate(steps):
                before(scenario, step, number / len(steps))
                try:
                    step.run()
                except (GuestError, CommandError) as error:
                    self.failures[scenario.key] = f"{step.title}: {error}"
                    return
        finally:
            scenario.finish()
