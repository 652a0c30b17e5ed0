"""`dbt-disco bench --cluster` from its options to its tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, machine, virtual_machine
from dbt_disco.benchmark.cluster.debian_machines import DebianMachines
from dbt_disco.benchmark.cluster.memory_table import KERNEL_DATA, KERNEL_TEXT, MemoryUse, kernel_parts
from dbt_disco.benchmark.cluster.scenarios import CLUSTER
from dbt_disco.benchmark.cluster.top_beside import TopBeside
from dbt_disco.benchmark.cluster.two_processors import TwoProcessors
from dbt_disco.benchmark.program_table import BARE_KERNEL
from dbt_disco.benchmark.scenarios.guest_process import GuestError, Moment
from dbt_disco.benchmark.scenarios.scenario import NATIVE, OWN, Figure, Plan
from dbt_disco.command_error import CommandError
from dbt_disco.command_line import main
from dbt_disco.debian.guest_files import GuestFiles

IOMEM = """\
00000000-07ffffff : System RAM
  00100000-00a63fff : Kernel code
  00a64000-00ce8dbf : Kernel data
  00d50000-00da9fff : Kernel bss
1f000900-1f00093f : serial
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(GuestFiles(tmp_path / "nowhere"), tmp_path, [], "tiny", 0.1, 60)


def values(figures: list[Figure]) -> list[float | None]:
    return [figure.value for figure in figures]


def test_where_linux_is() -> None:
    assert kernel_parts(IOMEM.replace("\n", "\r\n")) == [
        (KERNEL_TEXT, 0x10_0000, 0xA6_3FFF),
        (KERNEL_DATA, 0xA6_4000, 0xCE_8DBF),
        (KERNEL_DATA, 0xD5_0000, 0xDA_9FFF),
    ]


def test_figures_of_debian_machines(plan: Plan) -> None:
    scenario = DebianMachines(plan)
    assert values(scenario.figures()) == [None] * 5
    assert scenario.tables() == []
    scenario._uses[8] = MemoryUse({KERNEL_TEXT: 800, "rest": 200}, {KERNEL_TEXT: 100, "rest": 150}, 7)
    scenario._boots, scenario._compiled, scenario._translations = [4, 1, 2], [50, 1, 0], [50, 100, 120]
    scenario._idle, scenario._private = Moment(10, 1), 149
    figures = scenario.figures()
    assert values(figures) == [25, 50, 1, 10, 149]
    assert all(figure.target is not None and figure.target.is_met(figure.value or 0) for figure in figures)
    memory, boots = scenario.tables()
    assert [column.header for column in memory.columns] == ["", "8: seen", "held"]
    assert list(memory.columns[2].cells)[-1] == "25 %"
    assert list(boots.columns[2].cells) == ["1.00", "25 %", "100", "1"]


def test_figures_of_machines_that_compute(plan: Plan) -> None:
    processors, top = TwoProcessors(plan), TopBeside(plan)
    assert values([*processors.figures(), *top.figures()]) == [None, None]
    for side, both in ((OWN, 2), (NATIVE, 1.5)):
        processors.taken(side).add("alone", Moment(1, 1))
        processors.taken(side).add("both", Moment(both, both))
    assert processors.figures()[0].value == pytest.approx(0.75)
    for speed in (1, 2, 5):  # of the host, which changes from pair to pair
        top.taken(OWN).add("without", Moment(10 / speed, 20 / speed))
        top.taken(OWN).add("with top", Moment(10.1 / speed, 20.4 / speed))
    (beside,) = top.figures()
    assert (beside.value, beside.processor_value) == (pytest.approx(1), pytest.approx(2))


def test_without_the_guest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--cluster", "--scenarios", "debian", "--dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert f"absent: debian: {tmp_path}/vmlinuz is not there; `dbt-disco fetch debian` makes it" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cluster", "--scenarios", "flight"), "no scenario is called 'flight'; there are debian,"),
        (("--cluster", "--scenarios", "boot"), "no scenario is called 'boot'"),
        (("--cluster", "--cold"), "--cold says nothing with --cluster"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_process_of_a_cluster(tmp_path: Path) -> None:
    description = machine(1, 160 << 20) + "".join(
        virtual_machine(name, BARE_KERNEL, memory=64 << 20) for name in ("one", "other")
    )
    with ClusterProcess(description, tmp_path, tmp_path / "cache", 60) as cluster:
        begin = cluster.start("one")
        _, prompt = cluster.wait_for("one", "# ")
        cluster.send("one", "no-such-program\n")
        shown, said = cluster.wait_for("one", "program\n")
        assert shown == "no such " and begin < prompt <= said
        assert cluster.execute("query-vms")[1]["state"] == "defined"
        cluster.send("one", "reset\n")
        cluster.wait_for_end("one")
        cluster.start("one")
        cluster.wait_for("one", "# ")
        cluster.send("one", "reset\n")
        with pytest.raises(GuestError, match=r"one has stopped: .*; its last words: "):
            cluster.wait_for("one", "never said")
        cluster.execute("down")
        with pytest.raises((CommandError, GuestError)):
            cluster.wait_for("other", "never said")


def test_a_cluster_that_cannot_be(tmp_path: Path) -> None:
    description = machine(1, 32 << 20) + virtual_machine("vm", tmp_path / "none", memory=1)
    with pytest.raises(GuestError, match=r"the cluster does not answer: .*memory"):
        ClusterProcess(description, tmp_path, tmp_path / "cache", 60)


def test_reads_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "bench.json"
    assert main(["bench", "--cluster", "--quick", "--scenarios", "reads", "--json", str(written)]) == 0
    entry = json.loads(written.read_text())["scenarios"]["reads"]
    assert all(len(rates) == 1 and rates[0] > 0 for rates in entry["amounts"].values())
    assert all(figure["value"] > 1 for figure in entry["figures"])
    assert "cached reads, 1 MiB in 16 segments" in capsys.readouterr().out


def test_machines_that_compute_are_measured(tmp_path: Path, program: Callable[[str], str]) -> None:
    program("cc")
    written = tmp_path / "bench.json"
    choice = ("--quick", "--scale", "tiny", "--scenarios", "processors,top")
    assert main(["bench", "--cluster", *choice, "--json", str(written)]) == 0
    scenarios = json.loads(written.read_text())["scenarios"]
    assert {side: set(times) for side, times in scenarios["processors"]["times"].items()} == {
        OWN: {"alone", "both"},
        NATIVE: {"alone", "both"},
    }
    assert set(scenarios["top"]["times"][OWN]) == {"with top", "without"}


@pytest.mark.slow
def test_everything_quickly(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    debian_guest: GuestFiles,
    program: Callable[[str], str],
) -> None:
    program("cc")
    written = tmp_path / "bench.json"
    arguments = ("--cluster", "--quick", "--dir", str(debian_guest.directory), "--json", str(written))
    status = main(["bench", *arguments])
    shown = capsys.readouterr().out
    assert status == 0, shown
    assert "kernel text" in shown and "boot to the shell, seconds" in shown
    document = json.loads(written.read_text())
    assert list(document["scenarios"]) == list(CLUSTER.scenarios)
    for scenario in document["scenarios"].values():
        assert all(figure["value"] is not None for figure in scenario["figures"])
