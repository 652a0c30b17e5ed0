"""The benchmark programs inside a guest that has booted: time as the host sees it, without the boot."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from dbt_disco.benchmark.engines import NativeEngine, all_engines
from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.results import geometric_mean
from dbt_disco.benchmark.scenarios.guest_process import GuestError, GuestProcess, Moment
from dbt_disco.benchmark.scenarios.scenario import (
    NATIVE,
    OWN,
    QEMU,
    Figure,
    Plan,
    Scenario,
    Step,
    Target,
    compared,
    ratio,
)
from dbt_disco.benchmark.system.launch import environment

_TARGETS: Final = {QEMU: Target(2, at_least=True), NATIVE: Target(2)}
"""How many times QEMU's speed, and how many times native time: geometric means over the programs."""

_FILLING: Final = 3
"""Runs after which little is left to be translated once more: each finds what the one before it has left."""


class HotLoops(Scenario):
    """A guest with a prompt, at which it is told to run programs. Each class of programs has a boot of its own, so
    that the sides take turns. A subclass knows the guest: its commands, and what is typed and shown."""

    title: ClassVar[str]
    prompt: ClassVar[str]
    reset: ClassVar[str]
    """What is typed to end the guest."""

    def __init__(self, plan: Plan) -> None:
        """Nothing happens yet."""
        super().__init__(plan)
        self.programs: list[Program] = list(plan.programs)
        """Those that are run; a subclass may leave some out in `prepare`."""
        self.own_command: Sequence[str] = ()
        self.qemu_command: Sequence[str] = ()

    @abstractmethod
    def execute(self, guest: GuestProcess, program: Program, arguments: str) -> Moment:
        """Have a guest at its prompt run a program, wait for it to end, and return when that was.

        Raises GuestError if the program has not printed what it should.
        """

    def prepare(self) -> None:
        """Compile the programs for the host."""
        directory = self.plan.directory / "native"
        directory.mkdir(exist_ok=True)
        native = all_engines(directory)[NATIVE]
        assert isinstance(native, NativeEngine)
        native.compile(self.programs)
        self._native = native

    def first_steps(self) -> list[Step]:
        """Fill the cache."""
        variables = environment(self.plan.cache)
        return [
            Step(
                f"{self.title}, to fill the cache: {name}",
                partial(self._run, self.own_command, variables, programs, None),
            )
            for name, programs in self._classes().items()
        ] * _FILLING

    def repeat(self) -> list[Step]:
        """For each class: ours, QEMU, native."""
        steps = []
        for name, programs in self._classes().items():
            sides: list[tuple[str, Sequence[str], Mapping[str, str]]] = [
                (OWN, self.own_command, environment(self.plan.cache)),
                (QEMU, self.qemu_command, {}),
            ]
            for side, command, variables in sides:
                run = partial(self._run, command, variables, programs, side)
                steps.append(Step(f"{self.title}, {side}: {name}", run))
            if not self._native.absent:
                steps.append(Step(f"{self.title}, {NATIVE}: {name}", partial(self._run_native, programs)))
        return steps

    def figures(self) -> list[Figure]:
        """Every program's time against native, and the means that there are targets for."""
        figures = [
            compared(f"{self.title}: {program.name}", self.taken(program.name), OWN, None, NATIVE, QEMU)
            for program in self.programs
        ]
        speeds, times = self._ratios(QEMU, OWN), self._ratios(OWN, NATIVE)
        return figures + [
            self._mean("speed, QEMU's = 1", speeds, _TARGETS[QEMU]),
            self._mean("time, native = 1", times, _TARGETS[NATIVE]),
        ]

    def _classes(self) -> dict[str, list[Program]]:
        classes: dict[str, list[Program]] = {}
        for program in self.programs:
            classes.setdefault(program.program_class, []).append(program)
        return classes

    def _ratios(self, dividend: str, divisor: str) -> list[tuple[float | None, float | None]]:
        medians = [self.taken(program.name).medians() for program in self.programs]
        return [ratio(sides.get(dividend), sides.get(divisor)) for sides in medians]

    def _mean(self, what: str, ratios: Sequence[tuple[float | None, float | None]], target: Target) -> Figure:
        """A line with the geometric means of wall-clock and processor ratios; none if one is missing."""
        value, processor_value = (geometric_mean(one[index] for one in ratios) for index in (0, 1))
        return Figure(f"{self.title}: {what}", value, "×", target, processor_value)

    def _run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        programs: Sequence[Program],
        side: str | None,
    ) -> None:
        with GuestProcess(command, variables, timeout=self.plan.timeout) as guest:
            for program in programs:
                guest.wait_for(self.prompt)
                before = guest.moment()
                after = self.execute(guest, program, str(program.arguments[self.plan.scale]))
                if side is not None:
                    self.taken(program.name).add(side, after - before)
            guest.wait_for(self.prompt)
            guest.send(self.reset)
            guest.join()

    def _run_native(self, programs: Sequence[Program]) -> None:
        for program in programs:
            command = self._native.command(program, self.plan.scale)
            with GuestProcess(command, timeout=self.plan.timeout) as process:
                end = process.join()
            self.check(program, hashlib.sha256(process.output).hexdigest())
            self.taken(program.name).add(NATIVE, end)

    def check(self, program: Program, digest: str) -> None:
        """GuestError unless that is the SHA-256 of what a program prints."""
        if digest != program.outputs[self.plan.scale]:
            raise GuestError(f"{program.name} has printed something else than expected")
