"""Debian virtual machines on one shared root disk, started one after the other: how long each boots and how much is
translated anew, what memory they take, what they cost when all idle."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from importlib.resources import files
from typing import Any, Final

from rich.box import SIMPLE
from rich.table import Table

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, disk, machine, virtual_machine
from dbt_disco.benchmark.cluster.memory_table import MB, MemoryUse, kernel_parts, memory_table
from dbt_disco.benchmark.scenarios.guest_process import GuestError, Moment
from dbt_disco.benchmark.scenarios.scenario import Figure, Plan, Scenario, ScenarioAbsent, Step, Target
from dbt_disco.cluster.memory_report import Part
from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE

COUNTS: Final = (1, 2, 4, 8)
"""Of virtual machines for which memory is looked at; the last one is how many there are."""
_QUICK_COUNTS: Final = (1, 2)
_MEMORY: Final = 128 << 20
_ROOM: Final = 32 << 20
"""Of the machine's memory for each, beyond that: nothing is to be given up for want of memory."""
_PROCESSORS: Final = 2
_HELD: Final = Target(45)
_BOOT: Final = Target(60)
_TRANSLATED: Final = Target(2)
_IDLE: Final = Target(15)
_MONITOR: Final = Target(150)
_SCRIPT: Final = "same-script"
_SECTOR: Final = 512
_PROMPT: Final = "# "
_BEGIN: Final = "script: begins\r\n"
_END: Final = "script: complete\r\n"
_LOOKS: Final = 2
"""Looks for equal pages in a row, after which nothing more is to be expected."""
_FEW: Final = 200
"""Pages joined by them."""
_SHARING_LIMIT: Final = 40.0
_QUICK_SHARING_LIMIT: Final = 10.0


class DebianMachines(Scenario):
    """One run of one cluster, which starts with an empty cache."""

    key = "debian"

    def __init__(self, plan: Plan) -> None:
        """Nothing happens yet."""
        super().__init__(plan)
        self._counts = _QUICK_COUNTS if plan.quick else COUNTS
        self._everything = ExitStack()
        self._parts: list[Part] = []
        self._results: str | None = None
        self._uses: dict[int, MemoryUse] = {}
        self._boots: list[float] = []
        """Seconds from its start to the shell, of one after the other."""
        self._compiled: list[int] = []
        """Translations made for each until then."""
        self._translations: list[int] = []
        """Translations that each could use then, whomever they were made for."""
        self._idle: Moment | None = None
        self._private: float | None = None

    def prepare(self) -> None:
        """Put the script on a disk, and describe the cluster."""
        guest, directory = self.plan.guest, self.plan.directory
        missing = [path for path in (guest.kernel, guest.initramfs, guest.root_disk) if not path.exists()]
        if missing:
            raise ScenarioAbsent(f"{missing[0]} is not there; `dbt-disco fetch debian` makes it")
        script = directory / _SCRIPT
        text = (files(__package__) / "guest" / _SCRIPT).read_bytes()
        script.write_bytes(text + b"\n" * (-len(text) % _SECTOR))
        vms = [
            virtual_machine(
                _name(number),
                guest.kernel,
                initrd=str(guest.initramfs),
                disks=["root", "script"],
                memory=_MEMORY,
                append=f"{DEBIAN_COMMAND_LINE} quiet",
                balloon=True,
            )
            for number in range(1, self._counts[-1] + 1)
        ]
        memory = len(vms) * (_MEMORY + _ROOM)
        parts = [
            machine(1, memory, cpus_per_node=_PROCESSORS),
            disk("root", guest.root_disk),
            disk("script", script),
            *vms,
        ]
        self._description = "".join(parts)

    def first_steps(self) -> list[Step]:
        """All of it."""
        steps = [
            Step("Debian machines: a boot, for the engine's own code", self._make_engine_code),
            Step("Debian machines: begin with an empty cache", self._begin),
        ]
        last = self._counts[-1]
        for number in range(1, last + 1):
            steps.append(Step(f"Debian machines: {number} of {last} boots", partial(self._boot, number)))
            steps.append(
                Step(f"Debian machines: {number} of {last} runs the script", partial(self._run, number))
            )
            if number in self._counts:
                steps.append(
                    Step(f"Debian machines: memory of {number}", partial(self._look_at_memory, number))
                )
        return [*steps, Step(f"Debian machines: {last} idle", self._let_idle)]

    def repeat(self) -> list[Step]:
        """Nothing more: one run takes long enough."""
        return []

    def finish(self) -> None:
        """End the cluster."""
        self._everything.close()

    def figures(self) -> list[Figure]:
        """Of as many as there are."""
        last = self._counts[-1]
        targets = {} if self.plan.quick else {"held": _HELD, "idle": _IDLE, "monitor": _MONITOR}
        use = self._uses.get(last)
        held = None if use is None else 100 * use.all_held / use.all_seen
        slowest = translated = idle = None
        if len(self._boots) > 1:
            slowest = 100 * max(self._boots[1:]) / self._boots[0]
            made = zip(self._compiled, self._translations, strict=True)
            translated = max(100 * new / max(there, 1) for new, there in list(made)[1:])
        if self._idle is not None:
            idle = 100 * self._idle.processor_seconds / self._idle.seconds
        what = f"{last} Debian machines"
        return [
            Figure(f"{what}: machine memory held, of what they see", held, "%", targets.get("held")),
            Figure(f"{what}: slowest boot but the first, of that one", slowest, "%", _BOOT),
            Figure(f"{what}: translations made for one's boot, of all it has", translated, "%", _TRANSLATED),
            Figure(f"{what}: idle, of a processor", idle, "%", targets.get("idle")),
            Figure(
                f"{what}: the monitor's memory beyond machine pages",
                self._private,
                "MB",
                targets.get("monitor"),
            ),
        ]

    def tables(self) -> list[Table]:
        """Memory, and boots."""
        if not self._uses:
            return []
        return [memory_table(self._uses), self._boot_table()]

    def _boot_table(self) -> Table:
        table = Table(title="Debian virtual machines one after the other", title_justify="left", box=SIMPLE)
        table.pad_edge, table.collapse_padding = False, True
        table.add_column("", no_wrap=True)
        for number in range(1, len(self._boots) + 1):
            table.add_column(_name(number), justify="right", no_wrap=True)
        table.add_row("boot to the shell, seconds", *(f"{seconds:.2f}" for seconds in self._boots))
        table.add_row("of the first one's", *(f"{100 * s / self._boots[0]:.0f} %" for s in self._boots))
        table.add_row("translations that it has then", *map(str, self._translations))
        table.add_row("of these made for it", *map(str, self._compiled))
        return table

    # Steps.

    def _make_engine_code(self) -> None:
        """And the unpacked kernel: what no user waits for twice."""
        plan = self.plan
        with ClusterProcess(self._description, plan.directory, plan.cache, plan.timeout) as cluster:
            cluster.start(_name(1))
            cluster.wait_for(_name(1), _PROMPT)

    def _begin(self) -> None:
        plan = self.plan
        cache = self._everything.enter_context(plan.cold_cache.directory(timed=True))
        self._cluster = self._everything.enter_context(
            ClusterProcess(self._description, plan.directory, cache, plan.timeout)
        )

    def _boot(self, number: int) -> None:
        cluster, name = self._cluster, _name(number)
        begin = cluster.start(name)
        _, end = cluster.wait_for(name, _PROMPT)
        translations = self._statistics(number)["translations"]
        self._boots.append(end - begin)
        self._compiled.append(translations["compiled"])
        self._translations.append(translations["regions"])
        if number == 1:
            self._parts = self._ask_for_parts(name)

    def _ask_for_parts(self, name: str) -> list[Part]:
        cluster = self._cluster
        cluster.send(name, "cat /proc/iomem\n")
        cluster.wait_for(name, "\n")
        iomem, _ = cluster.wait_for(name, _PROMPT)
        parts = kernel_parts(iomem)
        if not parts:
            raise GuestError(f"/proc/iomem does not say where the kernel is: {iomem!r}")
        return parts

    def _run(self, number: int) -> None:
        cluster, name = self._cluster, _name(number)
        cluster.send(name, "bash /dev/vdb\n")
        cluster.wait_for(name, _BEGIN)
        results, _ = cluster.wait_for(name, _END)
        cluster.wait_for(name, _PROMPT)
        if self._results not in (None, results):
            raise GuestError(f"{name} has the results {results!r}, before they were {self._results!r}")
        self._results = results

    def _look_at_memory(self, number: int) -> None:
        self._let_share()
        cluster = self._cluster
        report = cluster.execute("query-memory", parts=self._parts)
        monitor = cluster.process.private_memory() - report["resident"]
        use = self._uses[number] = MemoryUse(report["seen"], report["held"], monitor)
        for what, amounts in (("seen", use.seen), ("held", use.held)):
            for name, size in amounts.items():
                self.amounts.setdefault(f"{number}: {what}, {name}", []).append(size)
        self.amounts[f"{number}: monitor"] = [monitor]

    def _let_share(self) -> None:
        """Wait until equal pages have been found, as far as they are going to be soon."""
        limit = time.monotonic() + (_QUICK_SHARING_LIMIT if self.plan.quick else _SHARING_LIMIT)
        while time.monotonic() < limit:
            before = self._cluster.execute("query-statistics")["content_sharing"]
            now = before
            while now["looks"] < before["looks"] + _LOOKS and time.monotonic() < limit:
                time.sleep(0.5)
                now = self._cluster.execute("query-statistics")["content_sharing"]
            if now["joined"] - before["joined"] < _FEW:
                return

    def _let_idle(self) -> None:
        cluster = self._cluster
        cluster.settle(self._counts[-1])
        before = cluster.process.moment()
        time.sleep(self.plan.idle_seconds)
        idle = self._idle = cluster.process.moment() - before
        self.taken("idle").add("dbt-disco", idle)
        resident = cluster.execute("query-memory", parts=[])["resident"]
        self._private = (cluster.process.private_memory() - resident) / MB
        self.amounts["private"] = [self._private]
        self.amounts["boots"], self.amounts["compiled"] = self._boots, [*map(float, self._compiled)]
        self.amounts["translations"] = [*map(float, self._translations)]

    def _statistics(self, number: int) -> dict[str, Any]:
        vms = self._cluster.execute("query-statistics")["vms"]
        found: dict[str, Any] = next(vm for vm in vms if vm["vm"] == _name(number))
        return found


def _name(number: int) -> str:
    return f"vm{number}"
